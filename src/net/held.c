/* Parameters as a net holds them. Whoever looks at them from outside sees wide row-major ones: the API, checkpoints, init.
 *
 *   host: row-major ─ copy/forward or cast/forward on the device ─ block: the layout that the planned graphs want */
#include "core/device.h"
#include "core/problem.h"
#include "net/net.h"

bool lamina_param_is_plain(const lamina_param *param) {
  return memcmp(&param->held, &param->desc, sizeof param->desc) == 0;
}

/* Both are in the device's memory. */
static lamina_status convert(const lamina_net *net, const lamina_tensor *from, const lamina_tensor *to) {
  const char *op = from->desc.dtype == to->desc.dtype ? "copy/forward" : "cast/forward";
  return lamina_op_run(net->device, op, NULL, (const lamina_tensor *[]){from, to}, NULL);
}

/* A parameter in a block of the net. */
static lamina_tensor held_in(const lamina_net *net, const lamina_param *param, lamina_buffer buffer) {
  lamina_tensor held = lamina_param_in(net, param, buffer, net->block[buffer]);
  held.memory = net->device->module.memory;
  return held;
}

/* Between a parameter as it is held and `host`, where it is as outside. */
static lamina_status carry(lamina_net *net, const lamina_param *param, const lamina_tensor *held, void *host,
                           bool fetches) {
  const size_t bytes = (size_t)lamina_desc_bytes(&param->desc);
  if (memcmp(&held->desc, &param->desc, sizeof held->desc) == 0)
    return lamina_copy(net->device, fetches ? host : held->data, fetches ? held->data : host, bytes, NULL);
  lamina_tensor plain = lamina_tensor_of(param->desc, host);
  plain.desc.align = 0; /* the caller's */
  plain.memory = held->memory;
  if (lamina_net_on_host(net)) return fetches ? convert(net, held, &plain) : convert(net, &plain, held);
  LAMINA_TRY(lamina_memory_alloc(net->device, bytes, &plain.data));
  lamina_status status = fetches ? convert(net, held, &plain) : lamina_copy(net->device, plain.data, host, bytes, NULL);
  if (!status) status = fetches ? lamina_copy(net->device, host, plain.data, bytes, NULL) : convert(net, &plain, held);
  lamina_memory_free(net->device, plain.data, bytes);
  return status;
}

lamina_status lamina_net_fetch(lamina_net *net, lamina_buffer buffer, int index, void *to) {
  const lamina_param *param = &net->params.list[index];
  const lamina_tensor held = held_in(net, param, buffer);
  return carry(net, param, &held, to, true);
}

lamina_status lamina_net_store(lamina_net *net, int index, const void *from) {
  const lamina_param *param = &net->params.list[index];
  const lamina_buffer best = lamina_param_best(net, param);
  const lamina_tensor held = held_in(net, param, best);
  LAMINA_TRY(carry(net, param, &held, (void *)(uintptr_t)from, false));
  if (best != LAMINA_BUFFER_MASTERS) return LAMINA_OK;
  const lamina_tensor rounded = held_in(net, param, LAMINA_BUFFER_PARAMETERS);
  return convert(net, &held, &rounded);
}

/* ---- From one layout to another --------------------------------------------------------------------------------- */

static bool changes(const lamina_param *param) {
  return memcmp(&param->held, &param->settled, sizeof param->held) != 0;
}

/* What has a place for each parameter, and lies as parameters do. */
static const lamina_buffer blocks[] = {LAMINA_BUFFER_PARAMETERS, LAMINA_BUFFER_MASTERS, LAMINA_BUFFER_GRADIENTS,
                                       LAMINA_BUFFER_MOMENT1, LAMINA_BUFFER_MOMENT2};

/* How a parameter changes: in its own blocks, and in those of wide numbers where that isn't the same. */
typedef struct move {
  lamina_plan *own, *wide;
} move;

static lamina_status plan_change(const lamina_net *net, const lamina_param *param, lamina_dtype dtype,
                                 lamina_plan **plan) {
  lamina_desc from = param->held, to = param->settled;
  lamina_problem problem;
  from.dtype = to.dtype = (int32_t)dtype;
  LAMINA_TRY(lamina_problem_init(&problem, lamina_op_find("copy/forward"), NULL, (const lamina_desc *[]){&from, &to}));
  return lamina_plan_open(net->device, &problem, NULL, plan);
}

/* Both plans, and in *most what the larger one takes: room for the parameter and the workspace behind it. */
static lamina_status plan_changes(const lamina_net *net, const lamina_param *param, move *to, size_t *most) {
  const lamina_dtype wide = lamina_net_wide(net);
  const size_t bytes = lamina_align_up((size_t)lamina_desc_bytes(&param->desc), 64);
  LAMINA_TRY(plan_change(net, param, (lamina_dtype)param->held.dtype, &to->own));
  if ((lamina_dtype)param->held.dtype != wide) LAMINA_TRY(plan_change(net, param, wide, &to->wide));
  const lamina_plan *plans[] = {to->own, to->wide};
  for (size_t i = 0; i < LAMINA_COUNT_OF(plans); i++) {
    const size_t needs = plans[i] ? bytes + lamina_plan_workspace(plans[i]) : 0;
    if (needs > *most) *most = needs;
  }
  return LAMINA_OK;
}

/* Through `room`, which holds the parameter and, behind it, the plan's workspace. */
static lamina_status change(lamina_net *net, const lamina_param *param, const move *by, char *room) {
  for (size_t b = 0; b < LAMINA_COUNT_OF(blocks); b++) {
    if (!net->block[blocks[b]]) continue;
    const lamina_tensor at = held_in(net, param, blocks[b]);
    const size_t bytes = (size_t)lamina_desc_bytes(&at.desc);
    const lamina_plan *plan = at.desc.dtype == param->held.dtype ? by->own : by->wide;
    LAMINA_TRY(lamina_plan_run(plan, &(lamina_args){{at.data, room}}, room + lamina_align_up(bytes, 64), NULL));
    LAMINA_TRY(lamina_copy(net->device, at.data, room, bytes, NULL));
  }
  return LAMINA_OK;
}

static lamina_status change_all(lamina_net *net, const move *moves, size_t most) {
  void *own = NULL; /* where the arena, which is nobody's between two runs, is too small */
  if (net->size[LAMINA_BUFFER_ARENA] < most) LAMINA_TRY(lamina_memory_alloc(net->device, most, &own));
  lamina_status status = LAMINA_OK;
  for (int i = 0; i < net->params.count && !status; i++) {
    lamina_param *param = &net->params.list[i];
    if (!moves[i].own) continue;
    status = change(net, param, &moves[i], own ? own : net->block[LAMINA_BUFFER_ARENA]);
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
  move *moves = lamina_alloc_zero(net->allocator, (size_t)net->params.count * sizeof *moves);
  lamina_status status = moves ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
  for (int i = 0; i < net->params.count && !status; i++)
    if (changes(&net->params.list[i])) status = plan_changes(net, &net->params.list[i], &moves[i], &most);
  if (!status) status = change_all(net, moves, most); /* all that may be lacking is there */
  for (int i = 0; moves && i < net->params.count; i++)
    lamina_plan_close(moves[i].own), lamina_plan_close(moves[i].wide);
  lamina_free(net->allocator, moves);
  return status;
}
