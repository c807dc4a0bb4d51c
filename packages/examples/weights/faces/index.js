// Written by scripts/model-packages.mjs.
export const faces = {
  "model_index.json": new URL("./model_index.json", import.meta.url).href,
  "scheduler/scheduler_config.json": new URL("./scheduler/scheduler_config.json", import.meta.url).href,
  "text_encoder/config.json": new URL("./text_encoder/config.json", import.meta.url).href,
  "text_encoder/model.safetensors": new URL("./text_encoder/model.safetensors", import.meta.url).href,
  "text_encoder_2/config.json": new URL("./text_encoder_2/config.json", import.meta.url).href,
  "text_encoder_2/model.safetensors": new URL("./text_encoder_2/model.safetensors", import.meta.url).href,
  "tokenizer/merges.txt": new URL("./tokenizer/merges.txt", import.meta.url).href,
  "tokenizer/special_tokens_map.json": new URL("./tokenizer/special_tokens_map.json", import.meta.url).href,
  "tokenizer/tokenizer_config.json": new URL("./tokenizer/tokenizer_config.json", import.meta.url).href,
  "tokenizer/vocab.json": new URL("./tokenizer/vocab.json", import.meta.url).href,
  "unet/config.json": new URL("./unet/config.json", import.meta.url).href,
  "unet/diffusion_pytorch_model.safetensors": new URL("./unet/diffusion_pytorch_model.safetensors", import.meta.url).href,
};
