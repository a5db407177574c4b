# SPDX-License-Identifier: Apache-2.0
"""NVML through nvidia-ml-py: what frameworks ask of it at their start, and that it means the same GPU as CUDA does."""
import subprocess

import pynvml as nvml
import torch

from harness import Told, program

REQUIRES = ("pynvml", "torch")


def before_each() -> None:
    nvml.nvmlInit()


def text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


@program("nvml")
def devices():
    count = nvml.nvmlDeviceGetCount()
    handles = [nvml.nvmlDeviceGetHandleByIndex(n) for n in range(count)]
    return {"count": count, "names": [text(nvml.nvmlDeviceGetName(h)) for h in handles],
            "memory": [nvml.nvmlDeviceGetMemoryInfo(h).total for h in handles],
            "capability": [list(nvml.nvmlDeviceGetCudaComputeCapability(h)) for h in handles]}


@program("nvml")
def versions():
    return {"driver": text(nvml.nvmlSystemGetDriverVersion()), "cuda": nvml.nvmlSystemGetCudaDriverVersion_v2(), "nvml": Told(text(nvml.nvmlSystemGetNVMLVersion()))}


@program("nvml")
def same_device_as_cuda():
    """By UUID and by PCI address; each leads back to the same handle."""
    found = []
    for ordinal in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(ordinal)
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}".encode())
        pci = nvml.nvmlDeviceGetPciInfo(handle)
        address = (pci.domain, pci.bus, pci.device)
        again = nvml.nvmlDeviceGetHandleByPciBusId(text(pci.busId).encode())
        found.append([address == (properties.pci_domain_id, properties.pci_bus_id, properties.pci_device_id), nvml.nvmlDeviceGetIndex(handle) == nvml.nvmlDeviceGetIndex(again)])
    return {"agrees": found}


@program("nvml")
def memory_in_use():
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return {"plausible": 0 <= memory.used <= memory.total and memory.free <= memory.total}


@program("nvml")
def unknown_device():
    try:
        nvml.nvmlDeviceGetHandleByIndex(99)
        return {"error": None}
    except nvml.NVMLError as error:
        return {"error": type(error).__name__, "text": str(error)}


@program("nvml")
def nvidia_smi_list():
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=50)
    return {"status": done.returncode, "lines": done.stdout.splitlines()}
