/** What a person sees: just enough of a terminal to play back what the tty style writes. */
export class TerminalScreen {
  readonly isTTY = true;
  columns: number;
  rows: number;
  cursorShown = true;
  wrapping = true;
  /** Lines that scrolled off the top. */
  readonly scrolled: string[] = [];
  #lines: string[][] = [[]];
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): boolean {
    for (const [token, command] of text.matchAll(/\x1b\[\??[\d;]*([A-Za-z])|./gsu)) {
      if (command !== undefined) this.#control(token, command);
      else if (token === '\n') this.#newline();
      else if (token === '\r') this.#column = 0;
      else this.#put(token);
    }
    return true;
  }

  /** The visible lines, without spaces at their ends and without empty lines below. */
  get text(): string {
    return this.#lines
      .map((line) =>
        Array.from(line, (letter) => letter ?? ' ')
          .join('')
          .trimEnd(),
      )
      .join('\n')
      .trimEnd();
  }

  #put(letter: string): void {
    if (letter < ' ' || letter === '\x7f') throw new Error(`a control character: ${JSON.stringify(letter)}`);
    if (this.#column >= this.columns) {
      if (this.wrapping) this.#newline();
      else this.#column = this.columns - 1;
    }
    const line = this.#lines[this.#row] ?? [];
    line[this.#column++] = letter;
  }

  #newline(): void {
    this.#column = 0;
    this.#row++;
    if (this.#row === this.#lines.length) this.#lines.push([]);
    if (this.#lines.length <= this.rows) return;
    this.scrolled.push((this.#lines.shift() ?? []).join(''));
    this.#row--;
  }

  #control(token: string, command: string): void {
    const number = Number(/\d+/.exec(token)?.[0] ?? 0);
    if (token.includes('?25')) this.cursorShown = command === 'h';
    else if (token.includes('?7')) this.wrapping = command === 'h';
    else if (command === 'A') this.#row = Math.max(0, this.#row - number);
    else if (command === 'G') this.#column = number - 1;
    else if (command === 'K') this.#clearLine(number);
    else if (command === 'J') {
      this.#clearLine(0);
      this.#lines.splice(this.#row + 1);
    } else throw new Error(`unknown control sequence ${JSON.stringify(token)}`);
  }

  #clearLine(mode: number): void {
    const line = this.#lines[this.#row] ?? [];
    this.#lines[this.#row] = mode === 0 ? line.slice(0, this.#column) : [];
  }
}
