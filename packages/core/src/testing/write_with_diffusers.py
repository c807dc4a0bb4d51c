"""Writes with diffusers what this library is to open, and draws with it: write_with_diffusers.py TINY OUT

TINY is a folder of a Stable Diffusion. OUT gets "model", in half precision and in shards, and, where PEFT is installed,
"lora", as `unet.save_lora_adapter` writes it, and "pipeline-lora", as `save_lora_weights` does. OUT/drawn.safetensors
holds the latents [B, C, h, w] and the pictures [B, 3, H, W] in [0, 1], with the model alone and with the LoRA. Prints
the call as JSON.
"""

import importlib.util
import json
import sys

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

tiny, out = sys.argv[1:]
torch.set_grad_enabled(False)
torch.manual_seed(0)
pipeline = StableDiffusionPipeline.from_pretrained(tiny, torch_dtype=torch.float16)
pipeline.save_pretrained(f"{out}/model", variant="fp16", max_shard_size="100KB")

pipeline = StableDiffusionPipeline.from_pretrained(f"{out}/model", variant="fp16", torch_dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)
call = {"prompt": "a red cube", "num_inference_steps": 4, "guidance_scale": 4, "height": 32, "width": 48}
latents = torch.randn(1, 4, 8, 12)
tensors = {"latents": latents, "model": pipeline(**call, latents=latents, output_type="pt").images}

if importlib.util.find_spec("peft"):
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    settings = {"r": 4, "lora_alpha": 9, "use_rslora": True, "init_lora_weights": False}
    pipeline.unet.add_adapter(LoraConfig(**settings, target_modules=["to_q", "to_v", "conv1", "proj_in"]))
    pipeline.unet.save_lora_adapter(f"{out}/lora")
    config = pipeline.unet.peft_config["default"].to_dict()
    layers = get_peft_model_state_dict(pipeline.unet)
    pipeline.save_lora_weights(f"{out}/pipeline-lora", unet_lora_layers=layers, unet_lora_adapter_metadata=config)
    tensors["lora"] = pipeline(**call, latents=latents, output_type="pt").images
save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{out}/drawn.safetensors")
print(json.dumps(call))
