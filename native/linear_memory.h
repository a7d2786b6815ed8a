// The shared WebAssembly memory as this environment sees it.
#pragma once

#include <node_api.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace overweft {

static_assert(std::endian::native == std::endian::little,
              "descriptors are little-endian and read as they lie");

/// Base and size of linear memory. The only place where an offset becomes a pointer.
/// The memory is shared and of fixed size, so that it neither moves nor shrinks.
class LinearMemory {
 public:
  void attach(uint8_t* base, size_t size) {
    base_ = base;
    size_ = size;
  }

  /// Address of `length` bytes at `offset`, or nullptr when they are not all inside.
  uint8_t* at(uint64_t offset, uint64_t length) const {
    if (length > size_ || offset > size_ - length) return nullptr;
    return base_ + offset;
  }

  /// Address of `count` rows of `stride` bytes, or nullptr. Both are 32-bit words, so that the
  /// product cannot wrap.
  uint8_t* rows(uint32_t offset, uint32_t count, uint32_t stride) const {
    return at(offset, uint64_t{count} * stride);
  }

  size_t size() const { return size_; }

 private:
  uint8_t* base_ = nullptr;
  size_t size_ = 0;
};

/// Unaligned little-endian word at `field` bytes from `row`. Other threads write the same memory:
/// the barrier keeps the compiler from reading a second time what was checked the first time.
template <typename Word>
inline Word load(const uint8_t* row, uint32_t field) {
  Word word;
  std::memcpy(&word, row + field, sizeof word);
  asm volatile("" : "+r"(word));
  return word;
}

template <typename Word>
inline void store(uint8_t* row, uint32_t field, Word word) {
  std::memcpy(row + field, &word, sizeof word);
}

}  // namespace overweft
