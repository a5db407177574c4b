# SPDX-License-Identifier: Apache-2.0
"""ResNet-50, BERT base and GPT-2 small in plain PyTorch, after their papers, with random weights."""
import torch
import torch.nn.functional as nnf
from torch import nn


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = 4 * width
        self.path = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return torch.relu(self.path(x) + self.shortcut(x))


class ResNet50(nn.Sequential):
    def __init__(self, classes: int = 1000):
        stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        blocks, inputs = [], 64
        for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
            for block in range(count):
                blocks.append(Bottleneck(inputs, width, 2 if stage and not block else 1))
                inputs = 4 * width
        super().__init__(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


class Attention(nn.Module):
    def __init__(self, size: int, heads: int, causal: bool):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.project, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, x):
        batch, length, size = x.shape
        q, k, v = (part.reshape(batch, length, self.heads, -1).transpose(1, 2) for part in self.project(x).chunk(3, -1))
        mixed = nnf.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, size))


class Block(nn.Module):
    """norm_first: as in GPT-2; else as in BERT."""

    def __init__(self, size: int, heads: int, norm_first: bool):
        super().__init__()
        self.norm_first = norm_first
        self.attention = Attention(size, heads, causal=norm_first)
        self.feed = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))

    def forward(self, x):
        if self.norm_first:
            x = x + self.attention(self.norms[0](x))
            return x + self.feed(self.norms[1](x))
        x = self.norms[0](x + self.attention(x))
        return self.norms[1](x + self.feed(x))


class Bert(nn.Module):
    def __init__(self, words: int = 30522, size: int = 768, heads: int = 12, depth: int = 12, length: int = 512):
        super().__init__()
        self.words, self.places = nn.Embedding(words, size), nn.Embedding(length, size)
        self.norm = nn.LayerNorm(size)
        self.blocks = nn.Sequential(*(Block(size, heads, norm_first=False) for _ in range(depth)))

    def forward(self, words):
        places = torch.arange(words.shape[1], device=words.device)
        return self.blocks(self.norm(self.words(words) + self.places(places)))


class Gpt2(nn.Module):
    def __init__(self, words: int = 50257, size: int = 768, heads: int = 12, depth: int = 12, length: int = 1024):
        super().__init__()
        self.words, self.places = nn.Embedding(words, size), nn.Embedding(length, size)
        self.blocks = nn.Sequential(*(Block(size, heads, norm_first=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(size)

    def forward(self, words):
        places = torch.arange(words.shape[1], device=words.device)
        return self.norm(self.blocks(self.words(words) + self.places(places))) @ self.words.weight.T

    def generate(self, words, max_new_tokens: int, **_):
        for _ in range(max_new_tokens):
            words = torch.cat([words, self(words)[:, -1].argmax(-1, keepdim=True)], 1)
        return words
