import type { DataId, DataType, KernelBackend, TensorInfo } from "@tensorflow/tfjs";

/** What the kernels here use of tfjs-node's backend, which does not type it for outsiders. */
export interface NativeBackend extends KernelBackend {
  binding: Binding;
  tensorMap: { get(dataId: DataId): { id: number }; set(dataId: DataId, tensor: object): void };
  getInputTensorIds(tensors: TensorInfo[]): number[];
  getDTypeInteger(dtype: DataType): number;
}

/** TensorFlow's C library, as tfjs-node binds it. */
export interface Binding {
  executeOp(name: string, attributes: readonly Attribute[], inputs: number[], outputs: number): Output[];
  createTensor(shape: number[], type: number, values: Float32Array | Int32Array): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): unknown;
  loadSavedModel(folder: string, tag: string): number;
  /** Names of places and of results are separated by commas. */
  runSavedModel(session: number, inputs: number[], places: string, results: string): Output[];
  deleteSavedModel(session: number): void;
  /** Only while operations are recorded (recording.ts): from now on each waits for these results. */
  runAfter?(ids: number[]): void;
  TF_FLOAT: number;
  TF_INT32: number;
  TF_ATTR_BOOL: number;
  TF_ATTR_FLOAT: number;
  TF_ATTR_INT: number;
  TF_ATTR_SHAPE: number;
  TF_ATTR_STRING: number;
  TF_ATTR_TYPE: number;
}

export interface Output {
  id: number;
  shape: number[];
  dtype: number;
}

export interface Attribute {
  name: string;
  type: number;
  value: unknown;
}

/** A float32 tensor of TensorFlow's, which TensorFlow.js knows nothing of. */
export interface NativeTensor {
  readonly id: number;
  readonly shape: readonly number[];
  /** Of a tensor of TensorFlow.js': what holds the id. */
  readonly dataId?: DataId;
}
