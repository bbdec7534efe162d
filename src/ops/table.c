/* Every op family. A new family adds its name here and its list `lamina_ops_NAME` in a file of its own. */
#include "core/base.h"

#define FAMILIES(X)                                                                                                    \
  X(conv)                                                                                                              \
  X(conv_transpose)                                                                                                    \
  X(local_conv)                                                                                                        \
  X(conv_matrix)                                                                                                       \
  X(copy)                                                                                                              \
  X(concat)                                                                                                            \
  X(split)                                                                                                             \
  X(slice)                                                                                                             \
  X(pad)                                                                                                               \
  X(transpose)                                                                                                         \
  X(resize)                                                                                                            \
  X(relu)                                                                                                              \
  X(leaky_relu)                                                                                                        \
  X(prelu)                                                                                                             \
  X(sigmoid)                                                                                                           \
  X(tanh)                                                                                                              \
  X(elu)                                                                                                               \
  X(selu)                                                                                                              \
  X(gelu)                                                                                                              \
  X(silu)                                                                                                              \
  X(softplus)                                                                                                          \
  X(hard_sigmoid)                                                                                                      \
  X(softsign)                                                                                                          \
  X(fc)                                                                                                                \
  X(matmul)                                                                                                            \
  X(gather)                                                                                                            \
  X(embedding)                                                                                                         \
  X(one_hot)                                                                                                           \
  X(max_pool)                                                                                                          \
  X(min_pool)                                                                                                          \
  X(avg_pool)                                                                                                          \
  X(lp_pool)                                                                                                           \
  X(mixed_pool)                                                                                                        \
  X(stochastic_pool)                                                                                                   \
  X(spectral_pool)                                                                                                     \
  X(max_unpool)                                                                                                        \
  X(softmax)                                                                                                           \
  X(log_softmax)                                                                                                       \
  X(batch_norm)                                                                                                        \
  X(layer_norm)                                                                                                        \
  X(group_norm)                                                                                                        \
  X(lrn)                                                                                                               \
  X(add)                                                                                                               \
  X(multiply)                                                                                                          \
  X(sum)                                                                                                               \
  X(mean)                                                                                                              \
  X(max)                                                                                                               \
  X(scale)                                                                                                             \
  X(cast)                                                                                                              \
  X(fill)                                                                                                              \
  X(dropout)                                                                                                           \
  X(softmax_cross_entropy)                                                                                             \
  X(softmax_cross_entropy_target)                                                                                      \
  X(binary_cross_entropy)                                                                                              \
  X(mse)                                                                                                               \
  X(l1)                                                                                                                \
  X(huber)                                                                                                             \
  X(binary_hinge)                                                                                                      \
  X(nll)                                                                                                               \
  X(hinge)                                                                                                             \
  X(top_k)                                                                                                             \
  X(sgd)                                                                                                               \
  X(adam)

#define X(family) extern const lamina_op_def lamina_ops_##family[];
FAMILIES(X)
#undef X

static const lamina_op_def *const families[] = {
#define X(family) lamina_ops_##family,
    FAMILIES(X)
#undef X
};

const lamina_op_def *lamina_op_at(int id) {
  if (id < 0) return NULL;
  for (size_t f = 0; f < LAMINA_COUNT_OF(families); f++)
    for (const lamina_op_def *op = families[f]; op->name; op++)
      if (id-- == 0) return op;
  return NULL;
}

int lamina_op_find(const char *name) {
  if (!name) return -1;
  for (int id = 0;; id++) {
    const lamina_op_def *op = lamina_op_at(id);
    if (!op) return -1;
    if (strcmp(op->name, name) == 0) return id;
  }
}

int lamina_op_arg_count(const lamina_op_def *op) {
  int count = 0;
  while (op && op->args[count].name) count++;
  return count;
}

int lamina_op_arg(const lamina_op_def *op, const char *name) {
  for (int i = 0; op && name && op->args[i].name; i++)
    if (strcmp(op->args[i].name, name) == 0) return i;
  return -1;
}
