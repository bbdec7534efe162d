/* What a net of narrow numbers keeps wide. Its ops read parameters of 16 bits; updates are much smaller than the last of
 * their bits, so they go to the masters, in f32, and every update rounds anew what ops read.
 *
 *   block        element   place of a parameter
 *   parameters   narrow    offset               what ops read, or the parameters themselves where nobody trained them
 *   gradients    narrow    offset
 *   masters      f32       offset in elements   the parameters themselves, from the first trainer on
 *   moments      f32       offset in elements
 *
 * In a wide net all blocks are alike, and there are no masters. */
#include "core/device.h"
#include "core/problem.h"
#include "net/net.h"

lamina_dtype lamina_block_dtype(const lamina_net *net, lamina_buffer buffer) {
  const bool narrow = buffer == LAMINA_BUFFER_PARAMETERS || buffer == LAMINA_BUFFER_GRADIENTS;
  return narrow ? net->shape.dtype : lamina_net_wide(net);
}

size_t lamina_block_offset(const lamina_net *net, lamina_buffer buffer, size_t offset) {
  return offset / lamina_element(net) * lamina_dtype_size(lamina_block_dtype(net, buffer));
}

size_t lamina_block_size(const lamina_net *net, lamina_buffer buffer) {
  return buffer == LAMINA_BUFFER_STATE ? net->params.state_bytes : lamina_block_offset(net, buffer, net->params.bytes);
}

lamina_buffer lamina_param_best(const lamina_net *net, const lamina_param *param) {
  return !param->state && net->block[LAMINA_BUFFER_MASTERS] ? LAMINA_BUFFER_MASTERS : lamina_param_buffer(param);
}

lamina_tensor lamina_param_in(const lamina_net *net, const lamina_param *param, lamina_buffer buffer, void *base) {
  lamina_desc desc = param->held;
  if (param->state) return lamina_tensor_of(desc, (char *)base + param->offset);
  desc.dtype = (int32_t)lamina_block_dtype(net, buffer);
  return lamina_tensor_of(desc, (char *)base + lamina_block_offset(net, buffer, param->offset));
}

/* All of a block as one vector. */
static lamina_tensor all_of(const lamina_net *net, lamina_buffer buffer) {
  const int64_t numbers = (int64_t)(net->params.bytes / lamina_element(net));
  lamina_tensor all = lamina_vector(lamina_block_dtype(net, buffer), numbers, net->block[buffer]);
  all.memory = net->device->module.memory;
  return all;
}

static lamina_status cast(const lamina_net *net, lamina_buffer from, lamina_buffer to) {
  const lamina_tensor x = all_of(net, from), y = all_of(net, to);
  return lamina_op_run(net->device, "cast/forward", NULL, (const lamina_tensor *[]){&x, &y}, NULL);
}

lamina_status lamina_net_take_masters(lamina_net *net) {
  const lamina_buffer masters = LAMINA_BUFFER_MASTERS;
  const size_t size = lamina_block_size(net, masters);
  if (!lamina_is_narrow(net->shape.dtype) || net->block[masters] || !size) return LAMINA_OK;
  LAMINA_TRY(lamina_net_take_parameters(net));
  LAMINA_TRY(lamina_memory_alloc(net->device, size, &net->block[masters]));
  net->size[masters] = size;
  const lamina_status status = cast(net, LAMINA_BUFFER_PARAMETERS, masters);
  if (!status) return LAMINA_OK;
  lamina_memory_free(net->device, net->block[masters], size); /* so that the next try fills them */
  net->block[masters] = NULL, net->size[masters] = 0;
  return status;
}

lamina_status lamina_net_round_masters(lamina_net *net) {
  return net->block[LAMINA_BUFFER_MASTERS] ? cast(net, LAMINA_BUFFER_MASTERS, LAMINA_BUFFER_PARAMETERS) : LAMINA_OK;
}
