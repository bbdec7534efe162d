/* Checkpoints: safetensors with the parameters by name (a narrow net's in f32 once it has masters, so that nothing is
 * lost), the optimizer's vectors as optimizer.m/NAME, and in the notes what a resumed run needs: recipe, input, step,
 * and the options that it must not change. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "core/device.h"
#include "core/text.h"
#include "lamina/io.h"
#include "net/recipe.h"
#include "net/trainer.h"

static const char *const moment_names[] = {"optimizer.m/", "optimizer.v/"};
static const lamina_buffer moment_buffers[] = {LAMINA_BUFFER_MOMENT1, LAMINA_BUFFER_MOMENT2};

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

/* Which parameters lie in this block: those of the parameters' are all that have moments, too. */
static bool is_in(const lamina_param *param, lamina_buffer buffer) {
  return param->state == (buffer == LAMINA_BUFFER_STATE);
}

/* The block that trained parameters are saved from and read into. */
static lamina_buffer best_block(const lamina_net *net) {
  return net->block[LAMINA_BUFFER_MASTERS] ? LAMINA_BUFFER_MASTERS : LAMINA_BUFFER_PARAMETERS;
}

/* One block of the device as tensors named PREFIX + parameter; `host` receives the block where it isn't the host's. */
static lamina_status add_block(lamina_net *net, lamina_safetensors_writer *writer, lamina_buffer buffer,
                               const char *prefix, char **host) {
  char *base = net->block[buffer];
  const size_t bytes = lamina_block_size(net, buffer);
  if (!bytes) return LAMINA_OK;
  if (!lamina_net_on_host(net)) {
    *host = base = lamina_alloc(net->allocator, bytes);
    if (!base) return LAMINA_OUT_OF_MEMORY;
    LAMINA_TRY(lamina_copy(net->device, base, net->block[buffer], bytes, NULL));
  }
  for (int i = 0; i < net->params.count; i++) {
    const lamina_param *param = &net->params.list[i];
    char name[96];
    if (!is_in(param, buffer)) continue;
    snprintf(name, sizeof name, "%s%s", prefix, param->name);
    const lamina_tensor tensor = lamina_param_in(net, param, buffer, base); /* written row-major */
    LAMINA_TRY(lamina_safetensors_add(writer, name, &tensor));
  }
  return LAMINA_OK;
}

static lamina_status note_net(const lamina_net *net, lamina_safetensors_writer *writer) {
  lamina_text text = {.allocator = net->allocator};
  if (net->recipe) LAMINA_TRY(lamina_safetensors_note(writer, "lamina.recipe", net->recipe));
  lamina_status status = lamina_net_describe(net, &text);
  if (!status) status = lamina_safetensors_note(writer, "lamina.net", text.data);
  lamina_text_clear(&text);
  lamina_text_real(&text, (double)net->low);
  lamina_text_put(&text, " ");
  lamina_text_real(&text, (double)net->high);
  if (!status) status = lamina_text_status(&text);
  if (!status) status = lamina_safetensors_note(writer, "lamina.range", text.data);
  lamina_text_free(&text);
  return status;
}

static lamina_status note_classes(const lamina_net *net, lamina_safetensors_writer *writer) {
  lamina_text names = {.allocator = net->allocator};
  for (int64_t i = 0; net->class_names && i < net->class_count; i++)
    lamina_text_print(&names, "%s%s", i ? "\n" : "", net->class_names[i]);
  lamina_status status = lamina_text_status(&names);
  if (!status && names.data) status = lamina_safetensors_note(writer, "lamina.classes", names.data);
  lamina_text_free(&names);
  return status;
}

static lamina_status note_run(const lamina_trainer *t, lamina_safetensors_writer *writer) {
  char value[64];
  lamina_text run = {.allocator = t->net->allocator};
  lamina_status status = lamina_training_describe(&t->settings.options, &run);
  if (!status) status = lamina_safetensors_note(writer, "lamina.run", run.data);
  lamina_text_free(&run);
  LAMINA_TRY(status);
  lamina_format(value, sizeof value, "%" PRId64 "%s", t->now.total, t->ends ? " ends" : "");
  LAMINA_TRY(lamina_safetensors_note(writer, "lamina.step", value));
  lamina_format(value, sizeof value, "%.17g", t->loss_sum);
  LAMINA_TRY(lamina_safetensors_note(writer, "lamina.loss_sum", value));
  if (isnan(t->hits)) return LAMINA_OK;
  lamina_format(value, sizeof value, "%.17g", t->hits);
  return lamina_safetensors_note(writer, "lamina.hits", value);
}

static lamina_status write_all(lamina_net *net, const lamina_trainer *t, lamina_safetensors_writer *writer,
                               char **host) {
  LAMINA_TRY(add_block(net, writer, best_block(net), "", &host[0]));
  LAMINA_TRY(add_block(net, writer, LAMINA_BUFFER_STATE, "", &host[1]));
  for (int m = 0; t && m < net->update.moments; m++)
    LAMINA_TRY(add_block(net, writer, moment_buffers[m], moment_names[m], &host[m + 2]));
  LAMINA_TRY(note_net(net, writer));
  LAMINA_TRY(note_classes(net, writer));
  return t ? note_run(t, writer) : LAMINA_OK;
}

static lamina_status save(lamina_net *net, const lamina_trainer *t, const char *path) {
  lamina_safetensors_writer *writer;
  char *host[4] = {NULL};
  if (!net->set) return lamina_error(LAMINA_INVALID, "the net's parameters are not set; there is nothing to save");
  LAMINA_TRY(lamina_safetensors_create(path, net->allocator, &writer));
  lamina_status status = write_all(net, t, writer, host);
  if (status)
    lamina_safetensors_abandon(writer);
  else
    status = lamina_safetensors_commit(writer);
  for (size_t i = 0; i < LAMINA_COUNT_OF(host); i++) lamina_free(net->allocator, host[i]);
  return status;
}

lamina_status lamina_net_save(lamina_net *net, const char *path) {
  LAMINA_NOT_NULL(net, "net");
  LAMINA_NOT_NULL(path, "path");
  return save(net, NULL, path);
}
lamina_status lamina_trainer_save(lamina_trainer *t, const char *path) {
  LAMINA_NOT_NULL(t, "trainer");
  LAMINA_NOT_NULL(path, "path");
  LAMINA_TRY(lamina_trainer_check(t));
  LAMINA_TRY(lamina_trainer_settle(t));
  return save(t->net, t, path);
}

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

static lamina_status find_tensor(const lamina_safetensors *file, const char *path, const char *prefix,
                                 const lamina_param *param, int *index) {
  char name[96], have[128], want[128];
  snprintf(name, sizeof name, "%s%s", prefix, param->name);
  *index = lamina_safetensors_find(file, name);
  if (*index < 0)
    return lamina_error(LAMINA_INVALID, "%s: it has no tensor \"%s\", so it is a checkpoint of another net", path,
                        name);
  const lamina_desc *desc = lamina_safetensors_desc(file, *index);
  if (desc->rank == param->desc.rank && memcmp(desc->dims, param->desc.dims, sizeof desc->dims) == 0 &&
      lamina_dtype_is_floating((lamina_dtype)desc->dtype))
    return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "%s: tensor \"%s\" is %s, but the net's is %s; it is a checkpoint of another net",
                      path, name, lamina_desc_text(desc, have, sizeof have),
                      lamina_desc_text(&param->desc, want, sizeof want));
}

/* All tensors of one block are there and fit: asked before anything is changed. */
static lamina_status check_block(const lamina_net *net, const lamina_safetensors *file, const char *path,
                                 const char *prefix, lamina_buffer buffer) {
  int index;
  for (int i = 0; i < net->params.count; i++)
    if (is_in(&net->params.list[i], buffer)) LAMINA_TRY(find_tensor(file, path, prefix, &net->params.list[i], &index));
  return LAMINA_OK;
}

static lamina_status read_block(lamina_net *net, const lamina_safetensors *file, const char *path, const char *prefix,
                                lamina_buffer buffer) {
  const bool direct = lamina_net_on_host(net);
  const size_t bytes = lamina_block_size(net, buffer);
  if (!bytes) return LAMINA_OK;
  char *base = direct ? net->block[buffer] : lamina_alloc_zero(net->allocator, bytes);
  lamina_status status = base ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
  for (int i = 0; i < net->params.count && !status; i++) {
    const lamina_param *param = &net->params.list[i];
    int index;
    if (!is_in(param, buffer)) continue;
    const lamina_tensor to = lamina_param_in(net, param, buffer, base);
    status = find_tensor(file, path, prefix, param, &index);
    if (!status) status = lamina_safetensors_read(file, index, &to);
  }
  if (!direct && !status) status = lamina_copy(net->device, net->block[buffer], base, bytes, NULL);
  if (!direct) lamina_free(net->allocator, base);
  return status;
}

static lamina_status check_parameters(const lamina_net *net, const lamina_safetensors *file, const char *path) {
  LAMINA_TRY(check_block(net, file, path, "", LAMINA_BUFFER_PARAMETERS));
  return check_block(net, file, path, "", LAMINA_BUFFER_STATE);
}

static lamina_status read_parameters(lamina_net *net, const lamina_safetensors *file, const char *path) {
  LAMINA_TRY(check_parameters(net, file, path));
  LAMINA_TRY(lamina_net_take_parameters(net));
  LAMINA_TRY(read_block(net, file, path, "", best_block(net)));
  LAMINA_TRY(lamina_net_round_masters(net));
  LAMINA_TRY(read_block(net, file, path, "", LAMINA_BUFFER_STATE));
  net->set = true;
  return LAMINA_OK;
}

/* "0 1": black and white. */
static void read_range(const lamina_safetensors *file, lamina_dataset_info *info) {
  const char *range = lamina_safetensors_value(file, "lamina.range"), *space = range ? strchr(range, ' ') : NULL;
  char first[32];
  double low, high;
  if (!space || space - range >= (ptrdiff_t)sizeof first) return;
  snprintf(first, sizeof first, "%.*s", (int)(space - range), range);
  if (lamina_read_real(first, &low) && lamina_read_real(space + 1, &high))
    info->low = (float)low, info->high = (float)high;
}

/* Splits the note of class names, a line each. */
static lamina_status read_classes(lamina_net *net, const lamina_safetensors *file) {
  const char *names = lamina_safetensors_value(file, "lamina.classes");
  lamina_dataset_info info = {0};
  read_range(file, &info);
  if (!names) return lamina_net_remember(net, &info);
  info.classes = 1;
  for (const char *c = names; *c; c++) info.classes += *c == '\n';
  char *copy = lamina_copy_text(net->allocator, names), *next = copy;
  const char **list = lamina_alloc_zero(net->allocator, (size_t)info.classes * sizeof *list);
  lamina_status status = copy && list ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
  for (int64_t i = 0; !status && i < info.classes; i++) {
    list[i] = next;
    next += strcspn(next, "\n");
    if (*next) *next++ = 0;
  }
  info.class_names = list;
  if (!status) status = lamina_net_remember(net, &info);
  lamina_free(net->allocator, (void *)(uintptr_t)list);
  lamina_free(net->allocator, copy);
  return status;
}

/* Moves both to the first line that differs; false where all are equal. */
static bool find_difference(const char **a, const char **b) {
  if (strcmp(*a, *b) == 0) return false;
  for (size_t n = strcspn(*a, "\n"); (*a)[n] && strncmp(*a, *b, n + 1) == 0; n = strcspn(*a, "\n"))
    *a += n + 1, *b += n + 1;
  *a += strspn(*a, " -"), *b += strspn(*b, " -");
  return true;
}

/* INVALID with the first line that differs when the file's net isn't this one. */
static lamina_status check_net(const lamina_net *net, const lamina_safetensors *file, const char *path) {
  lamina_text text = {.allocator = net->allocator};
  const char *theirs = lamina_safetensors_value(file, "lamina.net");
  lamina_status status = lamina_net_describe(net, &text);
  const char *mine = text.data;
  if (!status && theirs && find_difference(&theirs, &mine))
    status = lamina_error(LAMINA_INVALID,
                          "%s: it is a checkpoint of another net: it has \"%.*s\" where this one has \"%.*s\"", path,
                          (int)strcspn(theirs, "\n"), theirs, (int)strcspn(mine, "\n"), mine);
  lamina_text_free(&text);
  return status;
}

/* The same for the run. */
static lamina_status check_run(const lamina_trainer *t, const char *theirs, const char *path) {
  lamina_text text = {.allocator = t->net->allocator};
  lamina_status status = lamina_training_describe(&t->settings.options, &text);
  const char *mine = text.data;
  if (!status && find_difference(&theirs, &mine))
    status = lamina_error(LAMINA_INVALID, "%s: it was trained with %.*s, but this run has %.*s", path,
                          (int)strcspn(theirs, "\n"), theirs, (int)strcspn(mine, "\n"), mine);
  lamina_text_free(&text);
  return status;
}

/* "12", or "12 ends": the last step of an epoch whose evaluation is still to come. */
static bool read_step(const lamina_trainer *t, const char *text, int64_t *total, bool *ends) {
  char number[24];
  const size_t length = strcspn(text, " ");
  if (length >= sizeof number) return false;
  snprintf(number, sizeof number, "%.*s", (int)length, text);
  *ends = strcmp(text + length, " ends") == 0;
  if ((text[length] && !*ends) || !lamina_read_int(number, total)) return false;
  return *total >= 0 && *total <= t->now.steps * t->now.epochs && !(*ends && (*total == 0 || *total % t->now.steps));
}

/* The place after `total` steps. */
static lamina_status go_to(lamina_trainer *t, int64_t total, bool ends, double loss_sum, double hits) {
  lamina_progress *now = &t->now;
  LAMINA_TRY(lamina_loader_seek(t->loader, total / now->steps, total % now->steps));
  now->total = total;
  now->epoch = total / now->steps;
  now->step = ends ? now->steps : total % now->steps;
  now->examples = total * t->settings.options.batch;
  if (ends) now->rate = lamina_rate_at(&t->settings.options.rate, total - 1, now->steps * now->epochs, now->steps);
  t->ends = ends;
  t->loss_sum = loss_sum, t->hits = hits;
  lamina_trainer_means(t, now->step);
  return LAMINA_OK;
}

static lamina_status resume(lamina_trainer *t, const lamina_safetensors *file, const char *path) {
  lamina_net *net = t->net;
  const char *run = lamina_safetensors_value(file, "lamina.run"), *step = lamina_safetensors_value(file, "lamina.step"),
             *sum = lamina_safetensors_value(file, "lamina.loss_sum"),
             *counted = lamina_safetensors_value(file, "lamina.hits");
  int64_t total;
  double loss_sum, hits = (double)NAN; /* which older checkpoints don't have */
  bool ends;
  if (!run || !step || !sum)
    return lamina_error(LAMINA_INVALID, "%s: it holds a net, but no training to go on with", path);
  LAMINA_TRY(check_net(net, file, path));
  LAMINA_TRY(check_run(t, run, path));
  if (!read_step(t, step, &total, &ends))
    return lamina_error(LAMINA_INVALID, "%s: it stopped after step %.40s, but this run has %" PRId64 " steps", path,
                        step, t->now.steps * t->now.epochs);
  if (!lamina_read_real(sum, &loss_sum))
    return lamina_error(LAMINA_INVALID, "%s: its sum of losses is \"%.40s\"; expected a number", path, sum);
  if (counted && !lamina_read_real(counted, &hits))
    return lamina_error(LAMINA_INVALID, "%s: its count of hits is \"%.40s\"; expected a number", path, counted);
  LAMINA_TRY(check_parameters(net, file, path));
  for (int m = 0; m < net->update.moments; m++)
    LAMINA_TRY(check_block(net, file, path, moment_names[m], moment_buffers[m]));
  LAMINA_TRY(read_parameters(net, file, path));
  for (int m = 0; m < net->update.moments; m++)
    LAMINA_TRY(read_block(net, file, path, moment_names[m], moment_buffers[m]));
  return go_to(t, total, ends, loss_sum, hits);
}

lamina_status lamina_trainer_resume(lamina_trainer *t, const char *path) {
  lamina_safetensors *file;
  LAMINA_NOT_NULL(t, "trainer");
  LAMINA_NOT_NULL(path, "path");
  LAMINA_TRY(lamina_trainer_settle(t));
  LAMINA_TRY(lamina_safetensors_open(path, t->net->allocator, &file));
  const lamina_status status = resume(t, file, path);
  lamina_safetensors_close(file);
  if (!status) t->torn = false;
  return status;
}

static lamina_status load_checkpoint(lamina_device *device, const char *path, const lamina_load_options *load,
                                     lamina_net **out) {
  lamina_safetensors *file;
  lamina_net *net = NULL;
  LAMINA_TRY(lamina_safetensors_open(path, lamina_device_allocator(device), &file));
  const char *recipe = lamina_safetensors_value(file, "lamina.recipe");
  if (!recipe) recipe = lamina_safetensors_value(file, "lamina.net");
  lamina_status status =
      recipe ? lamina_recipe_parse(device, path, recipe, load, &net)
             : lamina_error(LAMINA_INVALID, "%s: it carries no recipe, so it can't be told what net it is of", path);
  if (!status) status = read_parameters(net, file, path);
  if (!status) status = read_classes(net, file);
  lamina_safetensors_close(file);
  if (status)
    lamina_net_close(net);
  else
    *out = net;
  return status;
}

lamina_status lamina_net_load(lamina_device *device, const char *path, const lamina_load_options *options,
                              lamina_net **net) {
  LAMINA_NOT_NULL(net, "net");
  *net = NULL;
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(path, "path");
  return lamina_safetensors_is(path) ? load_checkpoint(device, path, options, net)
                                     : lamina_recipe_read(device, path, options, net);
}
