/** An error that was thrown, as one word for a message. */

/** The errno's name with which a system call failed; undefined for any other failure. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** That name, else whatever was thrown. */
export function reasonOf(error: unknown): string {
  return errnoOf(error) ?? String(error);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
