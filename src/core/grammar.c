/* Reading a case from words. The grammar is in lamina/verify.h; grammar_text.c writes it. */
#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"
#include "core/verify.h"
#include "lamina/io.h"

enum { AXES = 3, MAX_WORD = 512 };

/* What a word said of one argument. */
typedef struct given {
  bool here, typed, shaped; /* named at all; with a type; with a shape (by itself or from a file) */
  int alias;                /* 1 + the argument whose memory it shares; 0: none */
} given;

typedef struct reading {
  lamina_case *c;
  const lamina_op_def *op;
  const lamina_allocator *allocator;
  given arg[LAMINA_MAX_ARGS];
  bool every_axis[LAMINA_ATTR_BYTES / 8]; /* attribute number n was one number for all spatial axes */
  bool attr[LAMINA_ATTR_BYTES / 8], seed, fill, math, deterministic;
  lamina_dtype dtype; /* of dtype=; NONE: not given */
} reading;

static const char *const reserved[] = {"dtype", "math", "deterministic", "fill", "seed", NULL};
static const char *const maths[] = {"default", "strict", "tf32", "bf16", "f16", NULL};

static int find(const char *const *list, const char *text) {
  for (int i = 0; list[i]; i++)
    if (strcmp(list[i], text) == 0) return i;
  return -1;
}

/* "; did you mean y?", or "; there are a, b, c". */
static void append_choices(char *text, size_t size, const char *word, const char *const *choices) {
  const char *nearest = lamina_nearest(word, choices);
  if (nearest) {
    lamina_append(text, size, "; did you mean %s?", nearest);
    return;
  }
  for (int i = 0; choices[i]; i++) lamina_append(text, size, "%s%s", i ? ", " : "; there are ", choices[i]);
}

static lamina_status unknown_op(const char *word) {
  const char *names[256] = {NULL};
  char text[1024] = "";
  for (int i = 0; lamina_op_at(i) && i < 255; i++) names[i] = lamina_op_at(i)->name;
  append_choices(text, sizeof text, word, names);
  return lamina_error(LAMINA_INVALID, "there is no op \"%s\"%s", word, text);
}

static lamina_status unknown_key(const reading *r, const char *key) {
  const char *names[LAMINA_MAX_ARGS + LAMINA_ATTR_BYTES / 8 + 8] = {NULL};
  char text[512] = "";
  int count = 0;
  for (int i = 0; r->op->args[i].name; i++) names[count++] = r->op->args[i].name;
  for (int i = 0; r->op->attrs[i].name; i++) names[count++] = r->op->attrs[i].name;
  for (int i = 0; reserved[i]; i++) names[count++] = reserved[i];
  append_choices(text, sizeof text, key, names);
  return lamina_error(LAMINA_INVALID, "%s has no tensor or attribute \"%s\"%s", r->op->name, key, text);
}

static lamina_status twice(const char *key) { return lamina_error(LAMINA_INVALID, "%s is given twice", key); }

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* A whole number at *text, which moves past it. */
static bool take_number(const char **text, bool negative, int64_t *value) {
  char digits[24];
  size_t length = (negative && **text == '-') + strspn(*text + (negative && **text == '-'), "0123456789");
  if (length >= sizeof digits) return false;
  memcpy(digits, *text, length);
  digits[length] = 0;
  *text += length;
  return lamina_read_int(digits, value);
}

/* Numbers with `between` between them; returns how many, or -1. */
static int take_numbers(const char **text, char between, bool negative, int64_t *value) {
  int count = 0;
  do {
    if (count == LAMINA_MAX_RANK || !take_number(text, negative, &value[count])) return -1;
    count++;
  } while (**text == between && ++*text);
  return count;
}

/* _AXISxSIZE, for each inner block the outermost first, or _any. */
static bool take_layout(const char **text, int32_t *layout) {
  *layout = 0;
  if (strncmp(*text, "_any", 4) == 0) {
    *text += 4;
    *layout = LAMINA_LAYOUT_ANY;
    return true;
  }
  while (**text == '_') {
    int64_t axis, size;
    int log2 = 1;
    if (++*text, !take_number(text, false, &axis) || *(*text)++ != 'x' || !take_number(text, false, &size))
      return false;
    while (log2 < 15 && INT64_C(1) << log2 < size) log2++;
    if (axis >= LAMINA_MAX_RANK || INT64_C(1) << log2 != size || *layout >> 24) return false;
    *layout = *layout << 8 | (int32_t)LAMINA_BLOCK(axis, log2);
  }
  return true;
}

/* DIMS[/STRIDES][_BLOCKS][+OFFSET][:TYPE]; false where the text is something else. */
static bool read_shape(const char *text, lamina_desc *desc, int64_t *offset) {
  int64_t dims[LAMINA_MAX_RANK] = {0}, strides[LAMINA_MAX_RANK] = {0};
  bool strided = false;
  int32_t layout;
  int rank = 0;
  if (strncmp(text, "0d", 2) == 0)
    text += 2;
  else if ((rank = take_numbers(&text, 'x', false, dims)) < 0)
    return false;
  if (*text == '/') {
    text++;
    if (take_numbers(&text, ',', true, strides) != rank) return false;
    strided = true;
  }
  if (!take_layout(&text, &layout)) return false;
  *desc = lamina_blocked(LAMINA_F32, rank, dims, layout);
  if (strided && layout >= 0) *desc = lamina_strided(LAMINA_F32, rank, dims, strides);
  desc->dtype = LAMINA_NONE, desc->layout = layout;
  *offset = 0;
  if (*text == '+' && (text++, !take_number(&text, false, offset) || *offset > INT32_MAX)) return false;
  if (*text == ':' && !(desc->dtype = (int32_t)lamina_dtype_find(++text))) return false;
  return !*text || desc->dtype;
}

static bool is_file(const char *text) {
  const size_t length = strlen(text);
  return length > 4 && strcmp(text + length - 4, ".npy") == 0;
}

static lamina_status read_file(reading *r, int i, const char *path) {
  lamina_tensor file;
  r->c->file[i] = path;
  if (!lamina_is_input(&r->op->args[i])) return LAMINA_OK;
  LAMINA_TRY(lamina_npy_read(path, r->allocator, &file));
  r->c->problem.arg[i] = lamina_dense((lamina_dtype)file.desc.dtype, file.desc.rank, file.desc.dims);
  lamina_npy_free(r->allocator, &file);
  r->arg[i].shaped = true;
  r->arg[i].typed = !(r->dtype && r->op->args[i].type != LAMINA_INTEGER);
  return LAMINA_OK;
}

static lamina_status read_alias(reading *r, int i, const char *of) {
  const lamina_arg_def *arg = &r->op->args[i];
  if (!arg->alias || strcmp(arg->alias, of) != 0)
    return lamina_error(LAMINA_INVALID, "%s=@%s: %s may %s%s in %s", arg->name, of, arg->name,
                        arg->alias ? "only share the memory of " : "not share memory", arg->alias ? arg->alias : "",
                        r->op->name);
  r->arg[i].alias = 1 + lamina_op_arg(r->op, of);
  r->c->problem.aliased |= 1u << i;
  return LAMINA_OK;
}

static lamina_status read_arg(reading *r, int i, const char *text) {
  const char *name = r->op->args[i].name;
  lamina_desc *desc = &r->c->problem.arg[i];
  if (r->arg[i].here) return twice(name);
  r->arg[i].here = true;
  if (*text == '@') return read_alias(r, i, text + 1);
  if (is_file(text)) return read_file(r, i, text);
  if (!read_shape(text, desc, &r->c->offset[i]))
    return lamina_error(
        LAMINA_INVALID,
        "%s=%s: expected a shape such as 2x3x5x7 or 2x3x5x7/120,40,8,1+3:bf16 or 2x32x5x7_1x16, a file that ends in "
        ".npy, or @TENSOR",
        name, text);
  r->arg[i].shaped = true;
  r->arg[i].typed = desc->dtype != LAMINA_NONE;
  return LAMINA_OK;
}

/* ---- Attributes -------------------------------------------------------------------------------------------------- */

static void put_int(reading *r, size_t offset, int64_t value) {
  memcpy(r->c->problem.attr + offset, &value, sizeof value);
}

static lamina_status expected(const lamina_attr_def *attr, const char *text, const char *what) {
  return lamina_error(LAMINA_INVALID, "%s=%s: expected %s", attr->name, text, what);
}

/* A zero field is the preset, where nothing says that zero is meant; who writes a 0 means one. */
static lamina_status refuse_zero(const lamina_attr_def *attr, const char *text, double value) {
  char what[96];
  if (attr->has || value != 0 || !(attr->preset != 0)) return LAMINA_OK;
  snprintf(what, sizeof what, "anything but 0, which stands for the preset, %g", attr->preset);
  return expected(attr, text, what);
}

static lamina_status read_choice(reading *r, const lamina_attr_def *attr, const char *text) {
  char choices[256] = "";
  const int choice = find(attr->choices, text);
  if (choice >= 0) {
    put_int(r, attr->offset, choice);
    return LAMINA_OK;
  }
  append_choices(choices, sizeof choices, text, attr->choices);
  return lamina_error(LAMINA_INVALID, "%s=%s: it is no choice%s", attr->name, text, choices);
}

static lamina_status read_axes(reading *r, int n, const char *text) {
  const lamina_attr_def *attr = &r->op->attrs[n];
  const bool pads = attr->type == LAMINA_ATTR_PADS;
  const char *at = text;
  int64_t value[AXES][2];
  int axes = 0;
  do {
    if (axes == AXES || !take_number(&at, true, &value[axes][0])) axes = -1;
    if (axes >= 0) value[axes][1] = value[axes][0];
    if (axes >= 0) LAMINA_TRY(refuse_zero(attr, text, (double)value[axes][0]));
    if (axes >= 0 && pads && *at == ':' && (at++, !take_number(&at, true, &value[axes][1]))) axes = -1;
    if (axes < 0)
      return expected(attr, text,
                      pads ? "a number for each spatial axis, such as 2,2, or before:after, such as 0:1,2:2"
                           : "a number for each spatial axis, such as 2,2");
    axes++;
  } while (*at == ',' && at++);
  if (*at) return expected(attr, text, "numbers with commas between them");
  r->every_axis[n] = axes == 1;
  for (int a = 0; a < axes; a++)
    for (int side = 0; side <= pads; side++)
      put_int(r, attr->offset + 8 * (size_t)(a * (1 + pads) + side), value[a][side]);
  return LAMINA_OK;
}

/* One number for each axis, or, for a set, the axes themselves. */
static lamina_status read_list(reading *r, const lamina_attr_def *attr, const char *text) {
  const bool set = attr->type == LAMINA_ATTR_SET;
  const char *at = text;
  int64_t value[LAMINA_MAX_RANK] = {0}, axes = 0;
  const int count = take_numbers(&at, ',', true, value);
  if (count < 0 || *at)
    return expected(attr, text, set ? "axes, such as 1,-1" : "a number for each axis, such as 1,0,2");
  if (!set) {
    for (int n = 0; n < count; n++) put_int(r, attr->offset + 8 * (size_t)n, value[n]);
    return LAMINA_OK;
  }
  for (int n = 0; n < count; n++) {
    if (value[n] < -LAMINA_MAX_RANK || value[n] >= LAMINA_MAX_RANK) return expected(attr, text, "axes from -8 to 7");
    axes |= LAMINA_AXIS(value[n]);
  }
  put_int(r, attr->offset, axes);
  return LAMINA_OK;
}

static lamina_status read_attr(reading *r, int n, const char *text) {
  const lamina_attr_def *attr = &r->op->attrs[n];
  int64_t number;
  double real;
  if (r->attr[n]) return twice(attr->name);
  r->attr[n] = true;
  if (attr->has) put_int(r, attr->has, 1);
  switch (attr->type) {
  case LAMINA_ATTR_INT:
    if (!lamina_read_int(text, &number)) return expected(attr, text, "a whole number");
    put_int(r, attr->offset, number);
    return refuse_zero(attr, text, (double)number);
  case LAMINA_ATTR_REAL:
    if (!lamina_read_real(text, &real)) return expected(attr, text, "a number");
    memcpy(r->c->problem.attr + attr->offset, &real, sizeof real);
    return refuse_zero(attr, text, real);
  case LAMINA_ATTR_BOOL:
    number = strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
    if (!number && strcmp(text, "0") != 0 && strcmp(text, "false") != 0) return expected(attr, text, "0 or 1");
    put_int(r, attr->offset, number);
    return LAMINA_OK;
  case LAMINA_ATTR_ENUM: return read_choice(r, attr, text);
  case LAMINA_ATTR_AXES:
  case LAMINA_ATTR_PADS: return read_axes(r, n, text);
  case LAMINA_ATTR_LIST:
  case LAMINA_ATTR_SET: return read_list(r, attr, text);
  }
  return LAMINA_OK;
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

static lamina_status read_fill(lamina_case *c, const char *text) {
  c->exact = strcmp(text, "exact") == 0;
  if (c->exact || strcmp(text, "normal") == 0) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "fill=%s: expected exact or normal", text);
}

static lamina_status read_seed(lamina_case *c, const char *text) {
  int64_t seed;
  if (!lamina_read_int(text, &seed) || seed < 0)
    return lamina_error(LAMINA_INVALID, "seed=%s: expected a whole number from 0", text);
  c->seed = (uint64_t)seed;
  return LAMINA_OK;
}

static lamina_status read_math(lamina_case *c, const char *text) {
  char choices[128] = "";
  c->problem.math = find(maths, text);
  if (c->problem.math >= 0) return LAMINA_OK;
  append_choices(choices, sizeof choices, text, maths);
  return lamina_error(LAMINA_INVALID, "math=%s: it is no choice%s", text, choices);
}

static lamina_status read_deterministic(lamina_case *c, const char *text) {
  const bool yes = strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
  if (!yes && strcmp(text, "0") != 0 && strcmp(text, "false") != 0)
    return lamina_error(LAMINA_INVALID, "deterministic=%s: expected 0 or 1", text);
  if (yes) c->problem.flags |= LAMINA_DETERMINISTIC;
  return LAMINA_OK;
}

/* dtype= is read before all other words, since files and shapes depend on it. */
static lamina_status read_dtype(reading *r, int count, const char *const *words) {
  for (int i = 1; i < count; i++) {
    if (strncmp(words[i], "dtype=", 6) != 0) continue;
    if (r->dtype) return twice("dtype");
    r->dtype = lamina_dtype_find(words[i] + 6);
    if (!r->dtype) return lamina_error(LAMINA_INVALID, "%s: expected f64, f32, f16, bf16, i64, i32 or u8", words[i]);
  }
  return LAMINA_OK;
}

static lamina_status read_word(reading *r, const char *word) {
  char key[MAX_WORD];
  const char *text = strchr(word, '=');
  bool *const flags[] = {NULL, &r->math, &r->deterministic, &r->fill, &r->seed};
  static lamina_status (*const readers[])(lamina_case *, const char *) = {NULL, read_math, read_deterministic,
                                                                          read_fill, read_seed};
  if (!text || text == word || text - word >= MAX_WORD)
    return lamina_error(LAMINA_INVALID,
                        "\"%s\" is not understood; expected tensor=SHAPE, tensor=FILE.npy or attribute=value", word);
  snprintf(key, sizeof key, "%.*s", (int)(text - word), word);
  text++;
  if (strcmp(key, "dtype") == 0) return LAMINA_OK;
  const int own = find(reserved, key), arg = lamina_op_arg(r->op, key);
  if (own > 0) {
    if (*flags[own]) return twice(key);
    *flags[own] = true;
    return readers[own](r->c, text);
  }
  if (arg >= 0) return read_arg(r, arg, text);
  for (int n = 0; r->op->attrs[n].name; n++)
    if (strcmp(r->op->attrs[n].name, key) == 0) return read_attr(r, n, text);
  return unknown_key(r, key);
}

/* ---- What was not said -------------------------------------------------------------------------------------------- */

/* Those of pictures, where one is there: the axes of a filter may be others. */
int lamina_spatial_axes(const lamina_problem *problem) {
  static const char *const pictures[] = {"x", "y", "dx", "dy", NULL};
  const lamina_op_def *op = lamina_op_at(problem->op);
  for (int any = 0; any < 2; any++)
    for (int i = 0; op->args[i].name; i++) {
      const int rank = problem->arg[i].rank;
      if (rank > 2 && (any || find(pictures, op->args[i].name) >= 0)) return rank > 2 + AXES ? AXES : rank - 2;
    }
  return 0;
}

static void spread_axes(reading *r) {
  const int axes = lamina_spatial_axes(&r->c->problem);
  for (int n = 0; r->op->attrs[n].name; n++) {
    const size_t each = r->op->attrs[n].type == LAMINA_ATTR_PADS ? 16 : 8;
    uint8_t *at = r->c->problem.attr + r->op->attrs[n].offset;
    for (int a = 1; r->every_axis[n] && a < axes; a++) memcpy(at + (size_t)a * each, at, each);
  }
}

/* The types of what has a shape, and outputs that must be there. */
static void complete(reading *r) {
  for (int i = 0; r->op->args[i].name; i++) {
    const lamina_arg_def *arg = &r->op->args[i];
    lamina_desc *desc = &r->c->problem.arg[i];
    const lamina_dtype preset = arg->type == LAMINA_INTEGER ? LAMINA_I64 : r->dtype ? r->dtype : LAMINA_F32;
    if (r->arg[i].shaped && !r->arg[i].typed) desc->dtype = (int32_t)preset;
    if (r->arg[i].shaped || r->arg[i].alias || !lamina_is_output(arg)) continue;
    if (r->arg[i].here || !arg->optional) *desc = lamina_infer(arg->type == LAMINA_FLOATING ? r->dtype : LAMINA_NONE);
  }
  for (int i = 0; r->op->args[i].name; i++)
    if (r->arg[i].alias) {
      r->c->problem.arg[i] = r->c->problem.arg[r->arg[i].alias - 1];
      r->c->offset[i] = r->c->offset[r->arg[i].alias - 1];
    }
}

/* Inputs that were not given take the shape that the forward pass gives them. */
static void complete_inputs(reading *r) {
  lamina_problem first, later;
  if (!lamina_first_pass(&r->c->problem, &first)) return;
  const bool all = lamina_later_pass(&first, r->c->problem.op, &later);
  for (int i = 0; all && r->op->args[i].name; i++) {
    if (r->arg[i].here || r->op->args[i].optional || r->op->args[i].role != LAMINA_IN) continue;
    r->c->problem.arg[i] = later.arg[i];
    if (r->dtype && r->op->args[i].type == LAMINA_FLOATING) r->c->problem.arg[i].dtype = (int32_t)r->dtype;
  }
}

lamina_status lamina_case_parse(int count, const char *const *words, const lamina_allocator *allocator,
                                lamina_case *c) {
  LAMINA_NOT_NULL(c, "c");
  memset(c, 0, sizeof *c);
  LAMINA_NOT_NULL(words, "words");
  for (int i = 0; i < count; i++)
    if (!words[i]) return lamina_error(LAMINA_INVALID, "lamina_case_parse: words[%d] is NULL", i);
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  if (count < 1) return lamina_error(LAMINA_INVALID, "expected an op, such as conv/forward");
  const int id = lamina_op_find(words[0]);
  if (id < 0) return unknown_op(words[0]);
  reading r = {.c = c, .op = lamina_op_at(id), .allocator = allocator};
  c->problem.op = id;
  LAMINA_TRY(read_dtype(&r, count, words));
  for (int i = 1; i < count; i++) LAMINA_TRY(read_word(&r, words[i]));
  spread_axes(&r);
  complete(&r);
  complete_inputs(&r);
  LAMINA_TRY(lamina_problem_infer(&c->problem));
  for (int i = 0; r.op->args[i].name; i++)
    if (lamina_present(&c->problem.arg[i]))
      c->problem.arg[i].align = lamina_alignment(&c->problem.arg[i], c->offset[i]);
  return lamina_problem_infer(&c->problem);
}
