#include "shim/nvml/answers.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace vgpu::shim::nvml {
namespace {

/// Followed in memory by the arguments, then the answer.
struct Node {
  Node* next;
  uint32_t question;
  uint32_t device;
  nvmlReturn_t result;
  size_t arguments_size;
  size_t answer_size;
};

constinit std::atomic<Node*> g_nodes{nullptr};

uint8_t* bytes_of(Node* node) { return reinterpret_cast<uint8_t*>(node + 1); }

bool is_of(Node* node, const Asked& asked) {
  return node->question == asked.question && node->device == asked.device && node->arguments_size == asked.size &&
         std::memcmp(bytes_of(node), asked.arguments, asked.size) == 0;
}

}  // namespace

bool find_kept(const Asked& asked, Kept& kept) {
  // acquire: pairs with keep()'s release; a node is complete before it is seen.
  for (Node* node = g_nodes.load(std::memory_order_acquire); node != nullptr; node = node->next) {
    if (!is_of(node, asked)) continue;
    kept = {node->result, bytes_of(node) + node->arguments_size, node->answer_size};
    return true;
  }
  return false;
}

void keep(const Asked& asked, const Kept& answer) {
  void* memory = std::malloc(sizeof(Node) + asked.size + answer.size);
  if (memory == nullptr) return;
  auto* node = new (memory) Node{nullptr, asked.question, asked.device, answer.result, asked.size, answer.size};
  std::memcpy(bytes_of(node), asked.arguments, asked.size);
  if (answer.size != 0) std::memcpy(bytes_of(node) + asked.size, answer.answer, answer.size);
  node->next = g_nodes.load(std::memory_order_relaxed);
  while (!g_nodes.compare_exchange_weak(node->next, node, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

}  // namespace vgpu::shim::nvml
