// An allocator that knows its own blocks: what was taken and given back, and whether a block of another came here.
#ifndef LAMINA_TESTS_COUNTING_ALLOCATOR_H
#define LAMINA_TESTS_COUNTING_ALLOCATOR_H

#include <cstdlib>
#include <map>
#include <mutex>

#include "lamina/device.h"

class CountingAllocator {
public:
  CountingAllocator() = default;
  CountingAllocator(const CountingAllocator &) = delete;
  CountingAllocator &operator=(const CountingAllocator &) = delete;

  long taken() const { return taken_; }                      // blocks, ever
  size_t open() const { return blocks_.size(); }             // not given back yet
  long strangers() const { return strangers_; }              // given back here, but not taken here, or of another size
  const lamina_allocator allocator = {alloc, release, this}; // for options

private:
  static void *alloc(void *user, size_t size, size_t align) {
    auto *self = static_cast<CountingAllocator *>(user);
    void *memory = aligned_alloc(align, (size + align - 1) / align * align);
    const std::lock_guard<std::mutex> guard(self->lock_);
    self->taken_++;
    self->blocks_[memory] = size;
    return memory;
  }
  static void release(void *user, void *memory, size_t size) {
    auto *self = static_cast<CountingAllocator *>(user);
    {
      const std::lock_guard<std::mutex> guard(self->lock_);
      const auto block = self->blocks_.find(memory);
      if (block == self->blocks_.end() || block->second != size) {
        self->strangers_++;
        return;
      }
      self->blocks_.erase(block);
    }
    free(memory);
  }

  std::mutex lock_;
  std::map<void *, size_t> blocks_;
  long taken_ = 0, strangers_ = 0;
};

#endif
