declare module 'fs-native-extensions' {
  const extensions: {
    /** Takes an exclusive lock on an open file; false when another file descriptor has it. */
    tryLock(fd: number): boolean;
    waitForLock(fd: number): Promise<void>;
    unlock(fd: number): void;
  };
  export default extensions;
}
