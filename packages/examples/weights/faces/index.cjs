// Written by scripts/model-packages.mjs.
const { pathToFileURL } = require("node:url");

const here = pathToFileURL(__filename);

exports.faces = {
  "model_index.json": new URL("./model_index.json", here).href,
  "scheduler/scheduler_config.json": new URL("./scheduler/scheduler_config.json", here).href,
  "text_encoder/config.json": new URL("./text_encoder/config.json", here).href,
  "text_encoder/model.safetensors": new URL("./text_encoder/model.safetensors", here).href,
  "text_encoder_2/config.json": new URL("./text_encoder_2/config.json", here).href,
  "text_encoder_2/model.safetensors": new URL("./text_encoder_2/model.safetensors", here).href,
  "tokenizer/merges.txt": new URL("./tokenizer/merges.txt", here).href,
  "tokenizer/special_tokens_map.json": new URL("./tokenizer/special_tokens_map.json", here).href,
  "tokenizer/tokenizer_config.json": new URL("./tokenizer/tokenizer_config.json", here).href,
  "tokenizer/vocab.json": new URL("./tokenizer/vocab.json", here).href,
  "unet/config.json": new URL("./unet/config.json", here).href,
  "unet/diffusion_pytorch_model.safetensors": new URL("./unet/diffusion_pytorch_model.safetensors", here).href,
};
