import type { DataId, DataType, KernelBackend, TensorInfo } from "@tensorflow/tfjs";

/** The parts of tfjs-node's backend that are used here; it does not export their types. */
export interface NativeBackend extends KernelBackend {
  binding: Binding;
  tensorMap: { get(dataId: DataId): { id: number }; set(dataId: DataId, tensor: object): void };
  getInputTensorIds(tensors: TensorInfo[]): number[];
  getDTypeInteger(dtype: DataType): number;
}

/** TensorFlow's C library, through the binding of tfjs-node. */
export interface Binding {
  executeOp(name: string, attributes: readonly Attribute[], inputs: number[], outputs: number): Output[];
  createTensor(shape: number[], type: number, values: Float32Array | Int32Array): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): unknown;
  loadSavedModel(folder: string, tag: string): number;
  /** The names of placeholders and results are separated by commas. */
  runSavedModel(session: number, inputs: number[], placeholders: string, results: string): Output[];
  deleteSavedModel(session: number): void;
  /** Whether it computes on a graphics card. */
  isUsingGpuDevice(): boolean;
  /** While operations are recorded (recording.ts): each later operation waits for these results. */
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

/** A float32 tensor of TensorFlow, registered with TensorFlow.js or not. */
export interface NativeTensor {
  readonly id: number;
  readonly shape: readonly number[];
  /** If it is a tensor of TensorFlow.js, its data. */
  readonly dataId?: DataId;
}
