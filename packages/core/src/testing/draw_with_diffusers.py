"""Draws with diffusers from a folder that this library wrote, to compare: draw_with_diffusers.py FOLDER IO.safetensors

IO.safetensors holds "latents" [B, C, h, w] and, in its metadata, the call; "images" [B, 3, H, W] in [0, 1] is what is to come out.
Prints the largest difference of a pixel.
"""

import json
import sys

import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open

folder, io = sys.argv[1:]
with safe_open(io, "pt") as file:
    call = json.loads(file.metadata()["call"])
    latents, expected = file.get_tensor("latents"), file.get_tensor("images")
torch.set_grad_enabled(False)
pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)
images = pipeline(**call, latents=latents, output_type="pt").images
print((images - expected).abs().max().item())
