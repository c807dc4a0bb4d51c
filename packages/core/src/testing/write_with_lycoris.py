"""Writes LoRAs with LyCORIS for kohya's scripts, and what they make of a network: write_with_lycoris.py TINY OUT

TINY is a folder of a Stable Diffusion. OUT gets a file of each method, with random weights, and of each the output of
the text encoder and of the UNet with it in OUT/out.safetensors: "METHOD.states" [1, 5, C] and "METHOD.sample"
[1, 4, 8, 8]; and the inputs "ids", "x". Needs lycoris-lora, einops and toml.
"""

import sys

import torch
from diffusers import UNet2DConditionModel
from lycoris.kohya import create_network
from safetensors.torch import save_file
from transformers import CLIPTextModel

tiny, out = sys.argv[1:]
METHODS = {
    "lora": {},
    "loha": {"algo": "loha"},
    "lokr": {"algo": "lokr", "factor": 2},
    "full": {"algo": "full"},
    "dora": {"dora_wd": True, "wd_on_output": True},
    "norm": {"train_norm": True},
    "rank-stabilised": {"rs_lora": True},
}
torch.manual_seed(0)
tensors = {"ids": torch.tensor([[5, 17, 3, 250, 9]]), "x": torch.randn(1, 4, 8, 8)}
for name, settings in METHODS.items():
    unet = UNet2DConditionModel.from_pretrained(tiny, subfolder="unet")
    text_encoder = CLIPTextModel.from_pretrained(tiny, subfolder="text_encoder")
    network = create_network(1.0, 4, 2.0, None, text_encoder, unet, preset="attn-mlp", **settings)
    network.apply_to(text_encoder, unet, True, True)
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            # Magnitudes stay near those of the weights.
            noise = 0.1 * torch.randn_like(parameter)
            parameter.copy_(parameter * (1 + noise) if "dora_scale" in key else parameter + noise)
        network.save_weights(f"{out}/{name}.safetensors", torch.float32, {})
        states = text_encoder(tensors["ids"]).last_hidden_state
        tensors[f"{name}.states"] = states
        tensors[f"{name}.sample"] = unet(tensors["x"], 500, states).sample
save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{out}/out.safetensors")
print(",".join(METHODS))
