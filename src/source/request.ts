/** A request to whoever opens a source. */

/** Where the list of changes comes from, and where their data are read. */
export type SourceRequest =
  | {
      readonly kind: 'snapshot';
      /** As typed: a path or `vg/lv`. */
      readonly snapshot: string;
      /** Read instead of the snapshot's origin. */
      readonly dataSource: string | undefined;
      /** The older thin volume: `snapshot` is then the newer one, and its data are read. */
      readonly since: string | undefined;
      /** Neither of the two may be one that can be written. */
      readonly bothReadOnly?: true;
    }
  | { readonly kind: 'cowStore'; readonly cowStore: string; readonly dataSource: string };

/** Percent: a run ends when a COW store or thin pool that it depends on is so full. Absent: it does not. */
export interface FillRequest {
  readonly maxCowUse?: number;
}
