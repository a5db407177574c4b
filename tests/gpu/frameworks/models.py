# SPDX-License-Identifier: Apache-2.0
"""Three models as their papers configure them, with seeded weights: ResNet-50 trains, BERT reads, GPT-2 writes.

From torchvision and transformers where those can be imported, else from small_models.py beside this file.
"""
import os

import torch
import torch.nn.functional as nnf

import small_models
from harness import measured, program

REQUIRES = ("torch",)
DEVICE = os.environ.get("TEST_DEVICE", "cuda")


def before_each() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.manual_seed(0)


def healthy() -> None:
    assert torch.ones(2, device=DEVICE).sum().item() == 2


def from_library(build):
    """What the library builds, or None if there is no such library."""
    try:
        return build()
    except ImportError:
        return None


def resnet50():
    def build():
        import torchvision

        return torchvision.models.resnet50()

    return from_library(build) or small_models.ResNet50()


@program("resnet")
def resnet50_training():
    """Five steps of training on eight seeded images: every weight is compared."""
    model = resnet50().to(DEVICE).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    images, labels = torch.randn(8, 3, 224, 224).to(DEVICE), torch.arange(8, device=DEVICE)
    losses = []
    with measured():
        for _ in range(5):
            optimizer.zero_grad()
            loss = nnf.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        loss.item()
    weights = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    return {"losses": torch.stack(losses), "weights": weights}


@program("bert")
def bert_inference():
    def build():
        from transformers import BertConfig, BertModel

        return BertModel(BertConfig())

    model = (from_library(build) or small_models.Bert()).to(DEVICE).eval()
    words = torch.randint(0, 30000, (8, 128)).to(DEVICE)
    answers = {}
    with torch.no_grad(), measured():
        for name, kind in (("float32", torch.float32), ("float16", torch.float16)):
            answer = model.to(kind)(words)
            answers[name] = getattr(answer, "last_hidden_state", answer).cpu()
    return answers


@program("gpt2")
def gpt2_generation():
    """32 words after a seeded beginning, always the likeliest."""
    def build():
        from transformers import GPT2Config, GPT2LMHeadModel

        return GPT2LMHeadModel(GPT2Config())

    model = (from_library(build) or small_models.Gpt2()).to(DEVICE).eval()
    words = torch.randint(0, 50000, (2, 16)).to(DEVICE)
    options = {"max_new_tokens": 32, "min_new_tokens": 32, "do_sample": False, "pad_token_id": 0}
    with torch.no_grad(), measured():
        text = model.generate(words, attention_mask=torch.ones_like(words), **options).tolist()
    return {"words": text}
