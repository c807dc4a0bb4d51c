// Written by scripts/model-packages.mjs.
const { pathToFileURL } = require("node:url");

const here = pathToFileURL(__filename);

exports.portraits = {
  "model_index.json": new URL("./model_index.json", here),
  "scheduler/scheduler_config.json": new URL("./scheduler/scheduler_config.json", here),
  "text_encoder/config.json": new URL("./text_encoder/config.json", here),
  "text_encoder/model.safetensors": new URL("./text_encoder/model.safetensors", here),
  "text_encoder_2/config.json": new URL("./text_encoder_2/config.json", here),
  "text_encoder_2/model.safetensors": new URL("./text_encoder_2/model.safetensors", here),
  "tokenizer/merges.txt": new URL("./tokenizer/merges.txt", here),
  "tokenizer/special_tokens_map.json": new URL("./tokenizer/special_tokens_map.json", here),
  "tokenizer/tokenizer_config.json": new URL("./tokenizer/tokenizer_config.json", here),
  "tokenizer/vocab.json": new URL("./tokenizer/vocab.json", here),
  "tokenizer_2/merges.txt": new URL("./tokenizer_2/merges.txt", here),
  "tokenizer_2/special_tokens_map.json": new URL("./tokenizer_2/special_tokens_map.json", here),
  "tokenizer_2/tokenizer_config.json": new URL("./tokenizer_2/tokenizer_config.json", here),
  "tokenizer_2/vocab.json": new URL("./tokenizer_2/vocab.json", here),
  "unet/config.json": new URL("./unet/config.json", here),
  "unet/diffusion_pytorch_model.safetensors": new URL("./unet/diffusion_pytorch_model.safetensors", here),
  "vae/config.json": new URL("./vae/config.json", here),
  "vae/diffusion_pytorch_model.safetensors": new URL("./vae/diffusion_pytorch_model.safetensors", here),
};
