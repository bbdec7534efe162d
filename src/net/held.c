/* Parameters as a net holds them. Whoever looks at them from outside sees row-major ones: the API, checkpoints, init.
 *
 *   host: row-major ─ copy/forward on the device ─ block: the layout that the planned graphs want */
#include "core/device.h"
#include "core/problem.h"
#include "net/net.h"

bool lamina_param_is_plain(const lamina_param *param) {
  return memcmp(&param->held, &param->desc, sizeof param->desc) == 0;
}

/* Parameter `param`, described so, at `data` in the device's memory. */
static lamina_tensor there(const lamina_net *net, lamina_desc desc, void *data) {
  lamina_tensor tensor = lamina_tensor_of(desc, data);
  tensor.memory = net->device->module.memory;
  return tensor;
}

static lamina_status convert(lamina_net *net, const lamina_tensor *from, const lamina_tensor *to) {
  return lamina_op_run(net->device, "copy/forward", NULL, (const lamina_tensor *[]){from, to}, NULL);
}

lamina_status lamina_net_fetch(lamina_net *net, lamina_buffer buffer, int index, void *to) {
  const lamina_param *p = &net->params.list[index];
  const size_t bytes = (size_t)lamina_desc_bytes(&p->desc);
  char *at = (char *)net->block[buffer] + p->offset;
  const lamina_tensor held = there(net, p->held, at);
  lamina_tensor plain = there(net, p->desc, to);
  if (lamina_param_is_plain(p)) return lamina_copy(net->device, to, at, bytes, NULL);
  plain.desc.align = 0; /* the caller's */
  if (lamina_net_on_host(net)) return convert(net, &held, &plain);
  LAMINA_TRY(lamina_memory_alloc(net->device, bytes, &plain.data));
  lamina_status status = convert(net, &held, &plain);
  if (!status) status = lamina_copy(net->device, to, plain.data, bytes, NULL);
  lamina_memory_free(net->device, plain.data, bytes);
  return status;
}

lamina_status lamina_net_store(lamina_net *net, lamina_buffer buffer, int index, const void *from) {
  const lamina_param *p = &net->params.list[index];
  const size_t bytes = (size_t)lamina_desc_bytes(&p->desc);
  char *at = (char *)net->block[buffer] + p->offset;
  const lamina_tensor held = there(net, p->held, at);
  lamina_tensor plain = there(net, p->desc, (void *)(uintptr_t)from);
  if (lamina_param_is_plain(p)) return lamina_copy(net->device, at, from, bytes, NULL);
  plain.desc.align = 0;
  if (lamina_net_on_host(net)) return convert(net, &plain, &held);
  LAMINA_TRY(lamina_memory_alloc(net->device, bytes, &plain.data));
  lamina_status status = lamina_copy(net->device, plain.data, from, bytes, NULL);
  if (!status) status = convert(net, &plain, &held);
  lamina_memory_free(net->device, plain.data, bytes);
  return status;
}

/* ---- From one layout to another --------------------------------------------------------------------------------- */

static bool changes(const lamina_param *param) {
  return memcmp(&param->held, &param->settled, sizeof param->held) != 0;
}

/* What has a place for each parameter, and lies as parameters do. */
static const lamina_buffer blocks[] = {LAMINA_BUFFER_PARAMETERS, LAMINA_BUFFER_GRADIENTS, LAMINA_BUFFER_MOMENT1,
                                       LAMINA_BUFFER_MOMENT2};

static lamina_status plan_change(const lamina_net *net, const lamina_param *param, lamina_plan **plan) {
  lamina_problem problem;
  const lamina_desc *shapes[] = {&param->held, &param->settled};
  LAMINA_TRY(lamina_problem_init(&problem, lamina_op_find("copy/forward"), NULL, shapes));
  return lamina_plan_open(net->device, &problem, NULL, plan);
}

/* Through `room`, which holds the parameter and, behind it, the plan's workspace. */
static lamina_status change(lamina_net *net, const lamina_param *param, const lamina_plan *plan, char *room) {
  const size_t bytes = (size_t)lamina_desc_bytes(&param->desc);
  for (size_t b = 0; b < LAMINA_COUNT_OF(blocks); b++) {
    if (!net->block[blocks[b]]) continue;
    char *at = (char *)net->block[blocks[b]] + param->offset;
    LAMINA_TRY(lamina_plan_run(plan, &(lamina_args){{at, room}}, room + lamina_align_up(bytes, 64), NULL));
    LAMINA_TRY(lamina_copy(net->device, at, room, bytes, NULL));
  }
  return LAMINA_OK;
}

static lamina_status change_all(lamina_net *net, lamina_plan *const *plans, size_t most) {
  void *own = NULL; /* where the arena, which is nobody's between two runs, is too small */
  if (net->size[LAMINA_BUFFER_ARENA] < most) LAMINA_TRY(lamina_memory_alloc(net->device, most, &own));
  lamina_status status = LAMINA_OK;
  for (int i = 0; i < net->params.count && !status; i++) {
    lamina_param *param = &net->params.list[i];
    if (!plans[i]) continue;
    status = change(net, param, plans[i], own ? own : net->block[LAMINA_BUFFER_ARENA]);
    if (!status) param->held = param->settled;
  }
  lamina_memory_free(net->device, own, most);
  return status;
}

lamina_status lamina_net_hold(lamina_net *net) {
  size_t most = 0;
  bool any = false;
  for (int i = 0; i < net->params.count; i++) any |= changes(&net->params.list[i]);
  if (!any) return LAMINA_OK;
  lamina_plan **plans = lamina_alloc_zero(net->allocator, (size_t)net->params.count * sizeof(lamina_plan *));
  lamina_status status = plans ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
  for (int i = 0; i < net->params.count && !status; i++) {
    const lamina_param *param = &net->params.list[i];
    if (!changes(param)) continue;
    status = plan_change(net, param, &plans[i]);
    const size_t needs = lamina_align_up((size_t)lamina_desc_bytes(&param->desc), 64) + lamina_plan_workspace(plans[i]);
    if (needs > most) most = needs;
  }
  if (!status) status = change_all(net, plans, most); /* all that may be lacking is there */
  for (int i = 0; plans && i < net->params.count; i++) lamina_plan_close(plans[i]);
  lamina_free(net->allocator, plans);
  return status;
}
