/* Datasets: specs, the caller's own sources, reading and normalising. */
#include "data/dataset.h"

#include <errno.h>
#include <stdlib.h>

static const lamina_data_kind *const kinds[] = {&lamina_data_idx, &lamina_data_digits, &lamina_data_xo,
                                                &lamina_data_pictures};

const lamina_dataset_kind *lamina_dataset_kind_at(int index) {
  return index >= 0 && (size_t)index < LAMINA_COUNT_OF(kinds) ? &kinds[index]->about : NULL;
}

/* ---- Specs ---- */

/* `, did you mean "nearest"?` or `: expected a, b or c`, for words that aren't known. */
static lamina_status unknown_word(const lamina_data_spec *spec, const char *role, const char *word,
                                  const char *const *choices) {
  const char *nearest = lamina_nearest(word, choices);
  if (nearest)
    return lamina_error(LAMINA_INVALID, "dataset \"%s\": there is no %s \"%s\"; did you mean \"%s\"?", spec->text, role,
                        word, nearest);
  char list[256] = "";
  for (int i = 0; choices[i]; i++)
    lamina_append(list, sizeof list, "%s%s", !i ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
  return lamina_error(LAMINA_INVALID, "dataset \"%s\": there is no %s \"%s\"; expected %s", spec->text, role, word,
                      *list ? list : "none");
}

static lamina_status find_kind(const lamina_data_spec *spec, const char *word, const lamina_data_kind **kind) {
  const char *names[LAMINA_COUNT_OF(kinds) + 1] = {NULL};
  for (size_t i = 0; i < LAMINA_COUNT_OF(kinds); i++) {
    names[i] = kinds[i]->about.name;
    if (!strcmp(word, names[i])) return *kind = kinds[i], LAMINA_OK;
  }
  return unknown_word(spec, "kind", word, names);
}

static lamina_status parse_split(lamina_data_spec *spec) {
  static const char *const splits[] = {"train", "test", NULL};
  for (int i = 0; splits[i]; i++)
    if (!strcmp(spec->what, splits[i])) return spec->split = i, LAMINA_OK;
  return unknown_word(spec, "split", spec->what, splits);
}

/* "key=value" into spec->value; `given` has a bit for each key that came before. */
static lamina_status parse_key(lamina_data_spec *spec, const lamina_data_kind *kind, char *pair, unsigned *given) {
  char *equals = strchr(pair, '=');
  if (!equals) return lamina_error(LAMINA_INVALID, "dataset \"%s\": \"%s\" is no key=value", spec->text, pair);
  *equals = '\0';
  const char *names[LAMINA_DATA_KEYS + 1] = {NULL};
  int i = 0;
  for (; kind->keys[i].name && strcmp(pair, kind->keys[i].name); i++) names[i] = kind->keys[i].name;
  const lamina_data_key *key = &kind->keys[i];
  if (!key->name) return unknown_word(spec, "key", pair, names);
  if (*given & 1u << i) return lamina_error(LAMINA_INVALID, "dataset \"%s\": %s is given twice", spec->text, pair);
  *given |= 1u << i;

  const char *text = equals + 1;
  char *end;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (end == text || *end || errno || value < key->least || value > key->most)
    return lamina_error(LAMINA_INVALID, "dataset \"%s\": %s is \"%s\", expected a whole number from %lld to %lld",
                        spec->text, key->name, text, (long long)key->least, (long long)key->most);
  spec->value[i] = value;
  return LAMINA_OK;
}

/* Cuts `copy` of the spec's text into its parts. */
static lamina_status parse_spec(char *copy, lamina_data_spec *spec, const lamina_data_kind **kind) {
  char *colon = strchr(copy, ':');
  if (!colon || colon == copy)
    return lamina_error(LAMINA_INVALID,
                        "dataset \"%s\": expected KIND:WHAT, as in \"idx:mnist/train\" or \"digits:train\"",
                        spec->text);
  *colon = '\0';
  LAMINA_TRY(find_kind(spec, copy, kind));

  char *rest = colon + 1;
  spec->what = strsep(&rest, ",");
  if (!*spec->what)
    return lamina_error(LAMINA_INVALID, "dataset \"%s\": nothing follows the colon; expected %s", spec->text,
                        (*kind)->about.form);
  if ((*kind)->splits) LAMINA_TRY(parse_split(spec));
  for (int i = 0; (*kind)->keys[i].name; i++) spec->value[i] = (*kind)->keys[i].preset;
  unsigned given = 0;
  while (rest) LAMINA_TRY(parse_key(spec, *kind, strsep(&rest, ","), &given));
  return LAMINA_OK;
}

/* ---- Normalisation ---- */

static lamina_status check_normalisation(const lamina_normalisation *normalise, int64_t channels) {
  const int given[] = {normalise->means, normalise->deviations};
  for (int i = 0; i < 2; i++)
    if (given[i] < 0 || given[i] > LAMINA_MAX_CHANNELS || (given[i] > 1 && given[i] != channels))
      return lamina_error(LAMINA_INVALID,
                          "normalisation: %d %s given for %lld channel(s), expected none, one or as many", given[i],
                          i ? "deviations" : "means", (long long)channels);
  for (int i = 0; i < normalise->means; i++)
    if (!(normalise->mean[i] - normalise->mean[i] == 0))
      return lamina_error(LAMINA_INVALID, "normalisation: mean %d is %g, expected a finite number", i,
                          (double)normalise->mean[i]);
  for (int i = 0; i < normalise->deviations; i++)
    if (!(normalise->deviation[i] > 0) || normalise->deviation[i] - normalise->deviation[i] != 0)
      return lamina_error(LAMINA_INVALID, "normalisation: deviation %d is %g, expected a positive number", i,
                          (double)normalise->deviation[i]);
  return LAMINA_OK;
}

/* x: [channels, plane] */
static void normalise_picture(const lamina_normalisation *normalise, int64_t channels, int64_t plane, float *x) {
  if (!normalise->means && !normalise->deviations) return;
  for (int64_t c = 0; c < channels; c++, x += plane) {
    const float mean = lamina_channel_mean(normalise, c), deviation = lamina_channel_deviation(normalise, c);
    for (int64_t i = 0; i < plane; i++) x[i] = (x[i] - mean) / deviation;
  }
}

lamina_status lamina_normalise(const lamina_normalisation *normalise, int64_t n, int64_t channels, int64_t plane,
                               float *x) {
  int64_t values, all;
  LAMINA_NOT_NULL(normalise, "normalise");
  if (!lamina_mul(channels, plane, &values) || !lamina_mul(values, n, &all))
    return lamina_error(LAMINA_INVALID,
                        "lamina_normalise: n is %lld, channels %lld, plane %lld; expected none negative", (long long)n,
                        (long long)channels, (long long)plane);
  if (all) LAMINA_NOT_NULL(x, "x");
  LAMINA_TRY(check_normalisation(normalise, channels));
  for (int64_t i = 0; i < n; i++) normalise_picture(normalise, channels, plane, x + i * channels * plane);
  return LAMINA_OK;
}

/* ---- Opening and closing ---- */

static lamina_status check_info(const lamina_dataset_info *info) {
  int64_t values, bytes;
  if (info->count < 1 || info->count > INT32_MAX)
    return lamina_error(LAMINA_INVALID, "dataset \"%s\": count is %lld, expected 1 … 2147483647", info->name,
                        (long long)info->count);
  if (info->channels < 1 || info->height < 1 || info->width < 1 || info->classes < 1 || info->classes > INT32_MAX)
    return lamina_error(LAMINA_INVALID,
                        "dataset \"%s\": pictures of %lld x %lld x %lld in %lld classes, expected positive numbers",
                        info->name, (long long)info->channels, (long long)info->height, (long long)info->width,
                        (long long)info->classes);
  if (!lamina_mul(info->channels, info->height, &values) || !lamina_mul(values, info->width, &values) ||
      !lamina_mul(values, (int64_t)sizeof(float), &bytes))
    return lamina_error(LAMINA_INVALID, "dataset \"%s\": a picture of %lld x %lld x %lld is too large to address",
                        info->name, (long long)info->channels, (long long)info->height, (long long)info->width);
  return LAMINA_OK;
}

static lamina_status wrap(const lamina_source *source, const lamina_data_kind *kind,
                          const lamina_dataset_options *options, lamina_dataset **dataset) {
  LAMINA_TRY(check_info(&source->info));
  LAMINA_TRY(check_normalisation(&options->normalise, source->info.channels));
  lamina_dataset *made = lamina_alloc_zero(options->allocator, sizeof *made);
  if (!made) return LAMINA_OUT_OF_MEMORY;
  made->source = *source;
  made->kind = kind;
  made->normalise = options->normalise;
  made->allocator = options->allocator ? *options->allocator : lamina_malloc;
  made->name = lamina_copy_text(options->allocator, source->info.name);
  if (!made->name) return lamina_free(options->allocator, made), LAMINA_OUT_OF_MEMORY;
  made->source.info.name = made->name;
  if (source->info.low == 0 && source->info.high == 0) made->source.info.high = 1;
  *dataset = made;
  return LAMINA_OK;
}

lamina_status lamina_dataset_wrap(const lamina_source *source, const lamina_dataset_options *options,
                                  lamina_dataset **dataset) {
  static const lamina_dataset_options none = {0};
  LAMINA_NOT_NULL(dataset, "dataset");
  *dataset = NULL;
  LAMINA_NOT_NULL(source, "source");
  LAMINA_NOT_NULL(source->read, "source.read");
  LAMINA_NOT_NULL(source->info.name, "source.info.name");
  if (options) LAMINA_TRY(lamina_allocator_check(options->allocator, __func__));
  return wrap(source, NULL, options ? options : &none, dataset);
}

lamina_status lamina_dataset_open(const char *spec, const lamina_dataset_options *options, lamina_dataset **dataset) {
  static const lamina_dataset_options none = {0};
  LAMINA_NOT_NULL(dataset, "dataset");
  *dataset = NULL;
  LAMINA_NOT_NULL(spec, "spec");
  if (!options) options = &none;
  LAMINA_TRY(lamina_allocator_check(options->allocator, __func__));
  char *copy = lamina_copy_text(options->allocator, spec);
  if (!copy) return LAMINA_OUT_OF_MEMORY;

  lamina_data_spec parts = {.text = spec, .allocator = options->allocator, .root = options->root};
  if (!parts.root) parts.root = getenv("LAMINA_DATA");
  if (parts.root && !*parts.root) parts.root = NULL;
  const lamina_data_kind *kind = NULL;
  lamina_source source = {.info = {.name = spec}};
  lamina_status status = parse_spec(copy, &parts, &kind);
  if (!status) status = kind->open(&parts, &source);
  if (!status) {
    status = wrap(&source, kind, options, dataset);
    if (status && source.close) source.close(source.user);
  }
  lamina_free(options->allocator, copy);
  return status;
}

void lamina_dataset_close(lamina_dataset *dataset) {
  if (!dataset) return;
  if (dataset->source.close) dataset->source.close(dataset->source.user);
  const lamina_allocator allocator = dataset->allocator;
  lamina_free(&allocator, dataset->name);
  lamina_free(&allocator, dataset);
}

/* ---- Reading ---- */

const lamina_dataset_info *lamina_dataset_info_of(const lamina_dataset *dataset) {
  return dataset ? &dataset->source.info : NULL;
}

/* x: [C, H, W] */
static lamina_status read_one(const lamina_dataset *dataset, int64_t index, float *x, int32_t *label) {
  const lamina_dataset_info *info = &dataset->source.info;
  if (index < 0 || index >= info->count)
    return lamina_error(LAMINA_INVALID, "dataset \"%s\": example %lld was asked for, it has 0 … %lld", info->name,
                        (long long)index, (long long)info->count - 1);
  const lamina_status status = dataset->source.read(dataset->source.user, index, x, label);
  if (status) return lamina_error_at(status, "dataset \"%s\", example %lld: ", info->name, (long long)index);
  if (*label < 0 || *label >= info->classes)
    return lamina_error(LAMINA_CORRUPT, "dataset \"%s\": label of example %lld is %d, expected 0 … %lld", info->name,
                        (long long)index, *label, (long long)info->classes - 1);
  normalise_picture(&dataset->normalise, info->channels, info->height * info->width, x);
  return LAMINA_OK;
}

lamina_status lamina_dataset_read(const lamina_dataset *dataset, int64_t n, const int64_t *index, float *x,
                                  int32_t *label) {
  LAMINA_NOT_NULL(dataset, "dataset");
  if (n < 0) return lamina_error(LAMINA_INVALID, "lamina_dataset_read: n is %lld; expected 0 or more", (long long)n);
  if (n) LAMINA_NOT_NULL(index, "index");
  if (n) LAMINA_NOT_NULL(x, "x");
  if (n) LAMINA_NOT_NULL(label, "label");
  const lamina_dataset_info *info = &dataset->source.info;
  const int64_t values = info->channels * info->height * info->width;
  for (int64_t i = 0; i < n; i++) LAMINA_TRY(read_one(dataset, index[i], x + i * values, label + i));
  return LAMINA_OK;
}

lamina_status lamina_dataset_check_classes(const lamina_dataset *dataset, int64_t classes) {
  LAMINA_NOT_NULL(dataset, "dataset");
  const lamina_dataset_info *info = &dataset->source.info;
  if (info->classes <= classes) return LAMINA_OK;
  if (dataset->kind && dataset->kind->check_classes)
    LAMINA_TRY(dataset->kind->check_classes(dataset->source.user, classes));
  return lamina_error(LAMINA_INVALID, "dataset \"%s\" has %lld classes, the net tells %lld apart", info->name,
                      (long long)info->classes, (long long)classes);
}

void lamina_shift_picture(float *x, int64_t channels, int64_t height, int64_t width, int64_t down, int64_t right,
                          const float *fill) {
  if (!down && !right) return;
  for (int64_t c = 0; c < channels; c++, x += height * width)
    for (int64_t i = 0; i < height; i++) {
      /* Rows are taken in the order in which each is read before it is overwritten. */
      const int64_t row = down > 0 ? height - 1 - i : i, from = row - down;
      float *to = x + row * width;
      int64_t left = 0, kept = 0; /* columns [left, left + kept) keep something */
      if (from >= 0 && from < height && right < width && right > -width) {
        left = right > 0 ? right : 0;
        kept = width - (right > 0 ? right : -right);
        memmove(to + left, x + from * width + left - right, (size_t)kept * sizeof *x);
      }
      for (int64_t j = 0; j < left; j++) to[j] = fill[c];
      for (int64_t j = left + kept; j < width; j++) to[j] = fill[c];
    }
}
