import { decodeNumbers, dtypeBytes, type NumberArray, requireDecodable } from "./dtypes.js";
import type { SafetensorsFile } from "./safetensors.js";
import type { TensorInfo } from "./safetensors-header.js";

/** Where to find a tensor in a file of another layout. */
export interface Piece {
  /** Its name in the file. */
  stored: string;
  /**
   * Which third of the stored tensor, along its first axis: OpenCLIP stacks the projections of queries, keys and
   * values.
   */
  third?: 0 | 1 | 2;
  /** Whether the matrix is transposed. */
  transposed?: boolean;
}

/**
 * A view of a file under other names: its tensors under the names in `pieces`, and, under their own names, those of the
 * same network (see `known`) that are not in `pieces`. Tensors are read only on demand.
 */
export function viewOf(
  file: SafetensorsFile,
  pieces: ReadonlyMap<string, Piece>,
  known: (stored: string) => boolean = () => false,
): SafetensorsFile {
  const used = new Set([...pieces.values()].map(({ stored }) => stored));
  const others = [...file.tensors.keys()].filter((stored) => known(stored) && !used.has(stored));
  const all = new Map<string, Piece>([...pieces, ...others.map((stored) => [stored, { stored }] as const)]);
  const tensors = new Map<string, TensorInfo>();
  for (const [name, piece] of all) {
    const info = file.tensors.get(piece.stored);
    if (info) tensors.set(name, { ...info, shape: shapeOf(piece, info.shape) });
  }
  const readBytes = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const piece = all.get(name);
    if (!piece) throw new RangeError(`${file.name} has no tensor ${name}.`);
    const { dtype, shape } = file.tensors.get(piece.stored)!;
    const bytes = await file.readBytes(piece.stored);
    if (piece.third === undefined && !piece.transposed) return bytes;
    const size = dtypeBytes(requireDecodable(dtype, `${file.name}: tensor ${JSON.stringify(piece.stored)}`));
    return pieceOf(piece, bytes, shape, size);
  };
  return {
    name: file.name,
    metadata: file.metadata,
    tensors,
    readBytes,
    read: async (name): Promise<NumberArray> => {
      const bytes = await readBytes(name);
      return decodeNumbers(bytes, requireDecodable(tensors.get(name)!.dtype, name));
    },
    close: () => file.close(),
  };
}

function shapeOf({ third, transposed }: Piece, [first = 1, ...rest]: readonly number[]): number[] {
  if (third !== undefined) return [first / 3, ...rest];
  return transposed ? [...rest, first] : [first, ...rest];
}

function pieceOf({ third }: Piece, bytes: Uint8Array<ArrayBuffer>, shape: readonly number[], size: number) {
  if (third !== undefined) return bytes.slice((third * bytes.length) / 3, ((third + 1) * bytes.length) / 3);
  const [rows, columns] = shape as [number, number];
  const turned = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (row * columns + column) * size;
      turned.set(bytes.subarray(from, from + size), (column * rows + row) * size);
    }
  }
  return turned;
}
