// An allocator that fails after so many calls and counts what is still open: no failure may leak or crash.
#ifndef LAMINA_TESTS_FAILING_ALLOCATOR_H
#define LAMINA_TESTS_FAILING_ALLOCATOR_H

#include <gtest/gtest.h>

#include <cstdlib>

#include "lamina/device.h"

struct FailingAllocator {
  int left, open = 0;
  lamina_allocator allocator = {[](void *user, size_t size, size_t align) -> void * {
                                  FailingAllocator *self = static_cast<FailingAllocator *>(user);
                                  if (self->left-- <= 0) return nullptr;
                                  self->open++;
                                  return aligned_alloc(align, (size + align - 1) / align * align);
                                },
                                [](void *user, void *memory, size_t) {
                                  static_cast<FailingAllocator *>(user)->open--;
                                  free(memory);
                                },
                                this};
  explicit FailingAllocator(int calls) : left(calls) {}
  FailingAllocator(const FailingAllocator &) = delete;
  FailingAllocator &operator=(const FailingAllocator &) = delete;
};

// Runs `work(allocator)` with ever more memory until it gives LAMINA_OK; before that it must give OUT_OF_MEMORY and
// nothing may be left open.
template <class Work> void expect_out_of_memory_is_a_status(Work work) {
  for (int calls = 0;; calls++) {
    FailingAllocator failing(calls);
    const lamina_status status = work(&failing.allocator);
    EXPECT_EQ(failing.open, 0) << "after " << calls << " allocations";
    if (status == LAMINA_OK) return;
    ASSERT_EQ(status, LAMINA_OUT_OF_MEMORY) << lamina_last_error();
    ASSERT_LT(calls, 1000);
  }
}

#endif
