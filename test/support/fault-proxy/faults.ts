/** What can go wrong between a client and its registry. `after` and `at` count bytes of the request's body. */
export type ProxyFault =
  /** The client's connection ends after so many bytes; the registry gets those, and then its end is cut, too. */
  | { kind: 'cut'; after: number }
  /** Nothing more is read after so many bytes, and both connections stay open. */
  | { kind: 'stall'; after: number }
  /** The body is read no faster than that. */
  | { kind: 'slow'; bytesPerSecond: number }
  /** One byte of the body reaches the registry as another. */
  | { kind: 'flip'; at: number }
  /** The registry never sees the request. `early`: the answer comes before the body was read, and then the connection ends. */
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: string; early?: boolean }
  /** The registry never sees the request: its connection is reset, */
  | { kind: 'reset' }
  /** and the port closed, which listens again after so many ms, */
  | { kind: 'down'; ms: number }
  /** or no answer ever comes, */
  | { kind: 'hold' }
  /** or one that is not HTTP. */
  | { kind: 'garbage' }
  /** The registry does what it was asked to, and its answer is lost with the connection. */
  | { kind: 'lose-answer' }
  /** The answer's connection ends after so many bytes of its body; of an empty one, more had been promised. */
  | { kind: 'cut-answer'; after: number; chunked?: boolean }
  /** Nothing more of the answer comes after so many bytes of its body. */
  | { kind: 'stall-answer'; after: number }
  /** The answer's body (an empty one gets some) in so many pieces, so many ms apart. */
  | { kind: 'trickle'; pieces: number; everyMs: number }
  /** After the answer, and beyond its Content-Length, comes more. */
  | { kind: 'excess' }
  /** The registry's answer, worded differently; a field of null is left out. */
  | {
      kind: 'rewrite';
      status?: number;
      headers?: Record<string, string | null> | ((headers: Record<string, string>) => Record<string, string>);
      body?: (text: string) => string;
    };
