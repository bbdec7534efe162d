// Small dense tensors for tests: any element type, filled from and read as plain numbers.
#ifndef LAMINA_TESTS_VALUES_H
#define LAMINA_TESTS_VALUES_H

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "lamina/tensor.h"

class Tensor {
public:
  using Dims = std::vector<int64_t>;
  using Values = std::vector<double>;

  // Filled with `poison`, which no test expects.
  Tensor(lamina_dtype dtype, Dims dims, double poison = -99)
      : desc_(lamina_dense(dtype, static_cast<int>(dims.size()), dims.data())), bytes_(room(desc_)) {
    for (int64_t i = 0; i < count(); i++) lamina_store(dtype, bytes_.data(), i, poison);
  }
  Tensor(lamina_dtype dtype, Dims dims, const Values &values) : Tensor(dtype, dims) {
    for (size_t i = 0; i < values.size(); i++) lamina_store(dtype, bytes_.data(), static_cast<int64_t>(i), values[i]);
  }

  int64_t count() const { return lamina_desc_count(&desc_); }
  const lamina_desc &desc() const { return desc_; }
  void *data() { return bytes_.data(); }
  // A view of it for a call; valid until the end of the full expression or longer, as long as the tensor lives.
  lamina_tensor view() { return lamina_tensor_of(desc_, bytes_.data()); }
  double at(int64_t i) const { return lamina_load(static_cast<lamina_dtype>(desc_.dtype), bytes_.data(), i); }
  Values values() const {
    Values v;
    for (int64_t i = 0; i < count(); i++) v.push_back(at(i));
    return v;
  }

private:
  static size_t room(const lamina_desc &desc) { return static_cast<size_t>(lamina_desc_bytes(&desc)) / 8 + 1; }
  lamina_desc desc_;
  std::vector<uint64_t> bytes_;
};

#endif
