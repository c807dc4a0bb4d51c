import type * as tf from "@tensorflow/tfjs";
import type { StudyNetwork, Subject } from "./subject.js";

/** A subject, and how what is drawn of it is measured. */
export interface Study<T extends tf.Tensor> {
  readonly subject: Subject<T>;
  /** Samples that are measured, and how many are drawn at once. */
  readonly samples: number;
  readonly atOnce: number;
  /** What `distance` is, for the head of the table. */
  readonly unit: string;
  /** How far drawn samples, borrowed, are from data. */
  distance(drawn: T): Promise<number>;
  /** The distance of other data, which is the least to expect. */
  floor(): Promise<number>;
  /** Samples of a class that are measured, and what is measured of them. */
  readonly samplesOfClass: number;
  readonly columns: readonly string[];
  /** A number for each column; the samples are borrowed. */
  measureClass(label: number, drawn: T): Promise<readonly number[]>;
  /** Writes pictures of what a method draws, a row for each number of calls; the samples are borrowed. */
  writeSheet?(file: string, rows: readonly T[]): Promise<void>;
  /** Writes the network that is told classes as a folder that pipelines open. */
  saveNetwork?(network: StudyNetwork<T>, folder: string): Promise<void>;
  dispose(): void;
}
