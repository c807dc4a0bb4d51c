"""Times the bench's two networks in PyTorch, forward and training step: pip install torch==2.13.0 diffusers==0.42.1; python pytorch-step.py [threads] [rounds]

The networks, batches and what a step does are those of networks.ts and workloads.ts: the mean of the squared prediction, its gradient,
AdamW, and a moving average of the weights. Prints the best of the rounds: time by the clock and processor time of all threads, in ms.
"""

import os
import sys
import time

threads, rounds = (int(given) for given in (sys.argv[1:] + ["1", "8"][len(sys.argv) - 1 :]))
os.environ["OMP_NUM_THREADS"] = str(threads)

import torch  # noqa: E402: reads the number of threads
from diffusers import UNet2DConditionModel  # noqa: E402

TOKENS, TIMESTEP = 16, 500
DOWN, CROSS_DOWN, UP, CROSS_UP = "DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"
NETWORKS = {
    "faces": (8, {
        "sample_size": 16, "in_channels": 3, "out_channels": 3, "block_out_channels": (32, 64, 96),
        "down_block_types": (DOWN, CROSS_DOWN, CROSS_DOWN), "up_block_types": (CROSS_UP, CROSS_UP, UP),
        "layers_per_block": 2, "cross_attention_dim": 64, "attention_head_dim": 4, "norm_num_groups": 8,
    }),
    "mini-sd": (2, {
        "sample_size": 32, "in_channels": 4, "out_channels": 4, "block_out_channels": (64, 128, 256, 256),
        "down_block_types": (CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, DOWN), "up_block_types": (UP, CROSS_UP, CROSS_UP, CROSS_UP),
        "layers_per_block": 2, "cross_attention_dim": 128, "attention_head_dim": 8, "norm_num_groups": 32,
    }),
}


def best(run):
    """Least milliseconds of several runs, by the clock and of the processor."""
    for _ in range(2):
        run()
    times = []
    for _ in range(rounds):
        clock, processor = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - clock, time.process_time() - processor))
    return [1000 * min(column) for column in zip(*times)]


torch.set_num_threads(threads)
print(f"PyTorch {torch.__version__}, {threads} threads, best of {rounds}")
for name, (batch, config) in NETWORKS.items():
    torch.manual_seed(0)
    model = UNet2DConditionModel(**config)
    x = torch.randn(batch, config["in_channels"], config["sample_size"], config["sample_size"])
    context = torch.randn(batch, TOKENS, config["cross_attention_dim"])
    parameters = list(model.parameters())
    average = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)

    def predict():
        return model(x, TIMESTEP, context).sample

    @torch.no_grad()
    def forward():
        predict()

    def step():
        optimizer.zero_grad()
        predict().square().mean().backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - 0.999)

    for what, run in (("forward", forward), ("train step", step)):
        clock, processor = best(run)
        print(f"{name + ' ' + what:20} {clock:8.1f} ms {processor:8.1f} processor ms", flush=True)
