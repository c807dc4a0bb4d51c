"""Draws with webuiapi, a Python client of AUTOMATIC1111's API. Prints what came as one line of JSON.

python draw_with_webuiapi.py PORT
"""

import json
import sys

import webuiapi
from PIL import Image

PROMPT = "a smiling woman with a red hat"

api = webuiapi.WebUIApi(host="127.0.0.1", port=int(sys.argv[1]))
common = dict(width=32, height=32, steps=4, cfg_scale=3, sampler_name="Euler")


def pixels(image):
    return list(image.convert("RGB").tobytes())


drawn = api.txt2img(prompt=PROMPT, negative_prompt="a beard", seed=7, batch_size=2, **common)
redrawn = api.img2img(images=[drawn.image], prompt="a bald man", seed=5, denoising_strength=0.6, **common)
mask = Image.new("L", (32, 32), 0)
mask.paste(255, (8, 8, 24, 24))
painted = api.img2img(
    images=[drawn.image],
    mask_image=mask,
    prompt="a bald man",
    seed=5,
    denoising_strength=1,
    inpainting_fill=1,
    inpaint_full_res=False,
    mask_blur=0,
    **common,
)
try:
    api.txt2img(prompt=PROMPT)
    refusal = None
except Exception as error:  # The client raises a RuntimeError with the status and the body.
    refusal = str(error)
api.set_options({"sd_model_checkpoint": "portraits"})
print(
    json.dumps(
        {
            "samplers": [sampler["name"] for sampler in api.get_samplers()],
            "models": api.util_get_model_names(),
            "model": api.get_options()["sd_model_checkpoint"],
            "progress": api.get_progress()["progress"],
            "seeds": drawn.info["all_seeds"],
            "drawn": [pixels(image) for image in drawn.images],
            "redrawn": pixels(redrawn.image),
            "painted": pixels(painted.image),
            "refusal": refusal,
        }
    )
)
