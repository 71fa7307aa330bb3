import { matrixOn } from './matrix.ts';

matrixOn('distribution-3');
