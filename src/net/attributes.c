/* Reading the attributes of a layer, an optimizer or a rate, by their table, from a document. */
#include "net/attributes.h"

#include <float.h>

#include "core/problem.h"

static const double BOUND = 0x1p53; /* integers that f64 has, too */

static void put(uint8_t *descriptor, size_t offset, int64_t value) {
  memcpy(descriptor + offset, &value, sizeof value);
}

static lamina_status read_reals(const lamina_node *node, const lamina_attr_def *attr, uint8_t *descriptor) {
  double value;
  const bool bounded = attr->least != 0 || attr->most != 0;
  LAMINA_TRY(lamina_node_real(node, bounded ? attr->least : -DBL_MAX, bounded ? attr->most : DBL_MAX, &value));
  memcpy(descriptor + attr->offset, &value, sizeof value);
  return LAMINA_OK;
}

static void integer_range(const lamina_attr_def *attr, int64_t *least, int64_t *most) {
  const bool bounded = attr->least != 0 || attr->most != 0;
  *least = bounded ? (int64_t)attr->least : -(int64_t)BOUND;
  *most = bounded ? (int64_t)attr->most : (int64_t)BOUND;
}

/* One number, which counts for every axis, or a list with one for each. */
static lamina_status read_numbers(const lamina_node *node, const lamina_attr_def *attr, int axes, int64_t value[3],
                                  int *count) {
  int64_t least, most;
  integer_range(attr, &least, &most);
  LAMINA_TRY(lamina_node_ints(node, least, most, 3, value, count));
  if (axes && node->kind == LAMINA_NODE_LIST && *count != axes)
    return lamina_node_error(node, "expected %d integers, one for each spatial axis, got %d", axes, *count);
  if (node->kind != LAMINA_NODE_LIST)
    for (; *count < axes; ++*count) value[*count] = value[0];
  return LAMINA_OK;
}

static lamina_status read_axes(const lamina_node *node, const lamina_attr_def *attr, int axes, uint8_t *descriptor) {
  int64_t value[3];
  int count;
  LAMINA_TRY(read_numbers(node, attr, axes, value, &count));
  for (int a = 0; a < count; a++) put(descriptor, attr->offset + 8 * (size_t)a, value[a]);
  return LAMINA_OK;
}

/* One number, one for each axis, or a pair (before, after) for each axis. */
static lamina_status read_pads(const lamina_node *node, const lamina_attr_def *attr, int axes, uint8_t *descriptor) {
  int64_t value[3];
  int count;
  if (node->kind != LAMINA_NODE_LIST || !node->first || node->first->kind != LAMINA_NODE_LIST) {
    LAMINA_TRY(read_numbers(node, attr, axes, value, &count));
    for (int n = 0; n < 2 * count; n++) put(descriptor, attr->offset + 8 * (size_t)n, value[n / 2]);
    return LAMINA_OK;
  }
  if (node->count != (axes ? axes : 1))
    return lamina_node_error(node, "expected %d pairs, one for each spatial axis, got %d", axes ? axes : 1,
                             node->count);
  for (int a = 0; a < node->count; a++) {
    const lamina_node *pair = lamina_node_at(node, a);
    LAMINA_TRY(lamina_node_ints(pair, 0, (int64_t)attr->most, 2, value, &count));
    if (count != 2) return lamina_node_error(pair, "expected two integers, before and after");
    for (int side = 0; side < 2; side++) put(descriptor, attr->offset + 8 * (size_t)(2 * a + side), value[side]);
  }
  return LAMINA_OK;
}

/* One number for each axis, or, for a set, the axes themselves; a plain number is a list of one. */
static lamina_status read_list(const lamina_node *node, const lamina_attr_def *attr, uint8_t *descriptor) {
  const bool set = attr->type == LAMINA_ATTR_SET;
  int64_t value[LAMINA_MAX_RANK], least, most, axes = 0;
  int count;
  integer_range(attr, &least, &most);
  LAMINA_TRY(lamina_node_ints(node, set ? -LAMINA_MAX_RANK : least, set ? LAMINA_MAX_RANK - 1 : most, LAMINA_MAX_RANK,
                              value, &count));
  for (int n = 0; n < count; n++)
    if (set)
      axes |= LAMINA_AXIS(value[n]);
    else
      put(descriptor, attr->offset + 8 * (size_t)n, value[n]);
  if (set) put(descriptor, attr->offset, axes);
  return LAMINA_OK;
}

static lamina_status read_attr(const lamina_node *node, const lamina_attr_def *attr, int axes, uint8_t *descriptor) {
  int64_t integer = 0, least, most;
  bool truth;
  int choice;
  if (attr->has) put(descriptor, attr->has, 1);
  switch (attr->type) {
  case LAMINA_ATTR_REAL: return read_reals(node, attr, descriptor);
  case LAMINA_ATTR_AXES: return read_axes(node, attr, axes, descriptor);
  case LAMINA_ATTR_PADS: return read_pads(node, attr, axes, descriptor);
  case LAMINA_ATTR_LIST:
  case LAMINA_ATTR_SET: return read_list(node, attr, descriptor);
  case LAMINA_ATTR_INT:
    integer_range(attr, &least, &most);
    LAMINA_TRY(lamina_node_int(node, least, most, &integer));
    break;
  case LAMINA_ATTR_BOOL:
    LAMINA_TRY(lamina_node_bool(node, &truth));
    integer = truth;
    break;
  case LAMINA_ATTR_ENUM:
    LAMINA_TRY(lamina_node_choice(node, attr->choices, &choice));
    integer = choice;
    break;
  }
  put(descriptor, attr->offset, integer);
  return LAMINA_OK;
}

static const lamina_attr_def *find_attr(const lamina_attr_def *attrs, const char *name) {
  for (; attrs->name; attrs++)
    if (strcmp(attrs->name, name) == 0) return attrs;
  return NULL;
}

lamina_status lamina_node_attrs(const lamina_node *value, const lamina_attr_def *attrs, int axes,
                                const char *const *also, uint8_t *descriptor) {
  const char *known[32] = {NULL};
  int count = 0;
  if (!value || lamina_node_is_null(value)) return LAMINA_OK;
  for (int i = 0; attrs[i].name; i++) known[count++] = attrs[i].name;
  for (int i = 0; also && also[i]; i++) known[count++] = also[i];
  if (value->kind != LAMINA_NODE_MAP) {
    if (!attrs[0].name) return lamina_node_error(value, "it takes no value");
    return read_attr(value, &attrs[0], axes, descriptor);
  }
  LAMINA_TRY(lamina_node_is_map(value, known));
  for (const lamina_node *child = value->first; child; child = child->next) {
    const lamina_attr_def *attr = find_attr(attrs, child->key), *same = find_attr(attrs, "same");
    if (!attr) continue;
    if (same && attr->type == LAMINA_ATTR_PADS && child->kind == LAMINA_NODE_SCALAR && strcmp(child->text, "same") == 0)
      put(descriptor, same->offset, 1);
    else
      LAMINA_TRY(read_attr(child, attr, axes, descriptor));
  }
  return LAMINA_OK;
}
