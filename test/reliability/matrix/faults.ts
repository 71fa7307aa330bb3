import { answerFaults } from './answer-faults.ts';
import type { MatrixFault } from './matrix-fault.ts';
import { transportFaults } from './transport-faults.ts';

/** Every row of the matrix. */
export const faults: readonly MatrixFault[] = [...transportFaults, ...answerFaults];
