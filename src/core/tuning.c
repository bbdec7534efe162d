/* What a device knows of problems that were tuned.
 *
 * A record belongs to one device: its name, threads, libraries and CPU, and the builds of all its engines. So a library or a
 * plug-in that was built anew knows nothing, and nothing that an older build proved is taken for proven. */
#include "core/tuning.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#define TUNE_SECONDS 0.25 /* for a problem, where the program doesn't say */

/* What is known, of all problems. */
typedef struct knowledge {
  lamina_records records;
  pthread_mutex_t lock; /* recursive: what packs arguments is planned, and tuned, meanwhile */
  char *path;           /* NULL: records are not kept */
  bool unwritable;
} knowledge;

struct lamina_tuning {
  knowledge own, *known; /* known: its own, or that of the device that shares it */
  bool tune;
  double seconds;
  char machine[320], device[352]; /* the first field of keys; device: "" until it is needed */
};

/* ---- Which build ----------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t size) {
  const uint8_t *b = bytes;
  for (size_t i = 0; i < size; i++) hash = (hash ^ b[i]) * 0x100000001b3u;
  return hash;
}

typedef struct object {
  uintptr_t address;   /* somewhere in it */
  uintptr_t low, high; /* the part of it that address is in */
  uint64_t hash;       /* of its build ID; 0: it has none */
} object;

/* The build ID is a note that the linker makes of all that it linked. */
static void hash_notes(const char *note, size_t size, object *o) {
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) head;
    memcpy(&head, note, sizeof head);
    const size_t name = lamina_align_up(head.n_namesz, 4),
                 whole = sizeof head + name + lamina_align_up(head.n_descsz, 4);
    if (whole > size) return;
    if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 && memcmp(note + sizeof head, "GNU", 4) == 0)
      o->hash = mix(1, note + sizeof head + name, head.n_descsz);
    note += whole, size -= whole;
  }
}

static int look_at(struct dl_phdr_info *info, size_t size, void *user) {
  object *o = user;
  (void)size;
  for (int i = 0; i < info->dlpi_phnum && !o->high; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    const uintptr_t low = info->dlpi_addr + part->p_vaddr, high = low + part->p_memsz;
    if (part->p_type == PT_LOAD && o->address >= low && o->address < high) o->low = low, o->high = high;
  }
  for (int i = 0; i < info->dlpi_phnum && o->high; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type == PT_NOTE) hash_notes((const char *)(info->dlpi_addr + part->p_vaddr), part->p_memsz, o);
  }
  return o->high != 0;
}

/* The program or library that a function is in; without a build ID, its file's size and time stand for it. */
static object object_of(uintptr_t address) {
  object o = {.address = address};
  Dl_info info;
  struct stat s;
  dl_iterate_phdr(look_at, &o);
  if (o.hash || !dladdr((void *)address, &info) || stat(info.dli_fname, &s) != 0) return o;
  const int64_t about[] = {(int64_t)s.st_size, (int64_t)s.st_mtim.tv_sec, (int64_t)s.st_mtim.tv_nsec};
  o.hash = mix(2, about, sizeof about);
  return o;
}

/* Of all engines in their order: one that comes or goes changes who can win. */
static uint64_t build_of(const lamina_device *device) {
  uint64_t hash = mix(3, LAMINA_VERSION, sizeof LAMINA_VERSION);
  object o = {0};
  for (int i = 0; i < device->engine_count; i++) {
    const lamina_engine *engine = device->engines[i];
    const uintptr_t at = (uintptr_t)engine->run;
    if (at < o.low || at >= o.high) o = object_of(at); /* most are of one object */
    hash = mix(hash, engine->name, strlen(engine->name) + 1);
    hash = mix(hash, engine->op, strlen(engine->op) + 1);
    hash = mix(hash, &o.hash, sizeof o.hash);
  }
  return hash;
}

/* ---- Life ------------------------------------------------------------------------------------------------------------ */

/* "cpu: 2 threads, AVX-512, oneDNN 2.6.3; Intel(R) Xeon(R) …". */
static void name_machine(lamina_device *device, struct lamina_tuning *tuning) {
  snprintf(tuning->machine, sizeof tuning->machine, "%s: %s%s%s", device->name, device->about,
           *device->roofline.cpu ? "; " : "", device->roofline.cpu);
  for (char *c = tuning->machine; *c; c++)
    if ((unsigned char)*c < ' ') *c = ' ';
}

static void take_roofline(lamina_device *device, const struct lamina_tuning *tuning) {
  lamina_roofline *r = &device->roofline;
  const lamina_record *record =
      lamina_records_find(&tuning->known->records, (const char *const[]){"machine", tuning->machine});
  double *const number[] = {&r->flops, &r->flops_half, &r->read, &r->copy, &r->region};
  for (size_t i = 0; record && i < LAMINA_COUNT_OF(number); i++) /* (its numbers were read when it was made) */
    r->measured = lamina_read_real(record->field[2 + i], number[i]);
}

static lamina_status open_tuning(lamina_device *device, bool tune, double seconds, struct lamina_tuning **out) {
  struct lamina_tuning *tuning = lamina_alloc_zero(&device->allocator, sizeof *tuning);
  if (!tuning) return LAMINA_OUT_OF_MEMORY;
  tuning->tune = tune, tuning->seconds = seconds;
  name_machine(device, tuning);
  device->tuning = *out = tuning;
  return LAMINA_OK;
}

lamina_status lamina_tuning_open(lamina_device *device, const char *path, bool tune, double seconds) {
  pthread_mutexattr_t recursive;
  struct lamina_tuning *tuning;
  const bool file = path && *path;
  if (!file && !tune) return LAMINA_OK;
  LAMINA_TRY(open_tuning(device, tune, seconds > 0 ? seconds : TUNE_SECONDS, &tuning));
  knowledge *const own = tuning->known = &tuning->own;
  pthread_mutexattr_init(&recursive);
  pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&own->lock, &recursive);
  pthread_mutexattr_destroy(&recursive);
  own->records.allocator = &device->allocator;
  if (!file) return LAMINA_OK;
  own->path = lamina_copy_text(&device->allocator, path);
  if (!own->path) return LAMINA_OUT_OF_MEMORY;
  const lamina_status status = lamina_records_load(path, &own->records);
  if (status) return lamina_error_at(status, "the tuning cache: ");
  if (tune) LAMINA_TRY(lamina_records_check(path, &device->allocator)); /* not after minutes of tuning */
  take_roofline(device, tuning);
  return LAMINA_OK;
}

lamina_status lamina_tuning_share(lamina_device *device, const lamina_device *with) {
  struct lamina_tuning *tuning;
  if (!with->tuning) return LAMINA_OK;
  LAMINA_TRY(open_tuning(device, with->tuning->tune, with->tuning->seconds, &tuning));
  tuning->known = with->tuning->known;
  pthread_mutex_lock(&tuning->known->lock);
  take_roofline(device, tuning);
  pthread_mutex_unlock(&tuning->known->lock);
  return LAMINA_OK;
}

void lamina_tuning_close(lamina_device *device) {
  struct lamina_tuning *tuning = device->tuning;
  if (!tuning) return;
  if (tuning->known == &tuning->own) {
    lamina_records_close(&tuning->own.records);
    lamina_free(&device->allocator, tuning->own.path);
    pthread_mutex_destroy(&tuning->own.lock);
  }
  lamina_free(&device->allocator, tuning);
}

/* A cache that can't be written is said once; what was found out serves this device all the same. */
static lamina_status save(lamina_device *device) {
  knowledge *known = device->tuning->known;
  if (!known->path || known->unwritable) return LAMINA_OK;
  const lamina_status status = lamina_records_save(known->path, &known->records);
  if (!status || status == LAMINA_OUT_OF_MEMORY) return status;
  known->unwritable = true;
  lamina_log(device, LAMINA_LOG_WARNING, "what tuning finds isn't kept: %s", lamina_last_error());
  return LAMINA_OK;
}

/* ---- Records ----------------------------------------------------------------------------------------------------------- */

/* A record's fields in the making: texts, and numbers as text. */
typedef struct line {
  const char *field[LAMINA_RECORD_FIELDS];
  char number[LAMINA_RECORD_FIELDS][32];
  int fields;
} line;

static void put_text(line *l, const char *text) { l->field[l->fields++] = text; }

static void put_number(line *l, double value) {
  lamina_format(l->number[l->fields], sizeof l->number[0], "%.6g", value);
  l->field[l->fields] = l->number[l->fields];
  l->fields++;
}

lamina_status lamina_tuning_measured(lamina_device *device) {
  struct lamina_tuning *tuning = device->tuning;
  const lamina_roofline *r = &device->roofline;
  line l = {.fields = 0};
  if (!tuning) return LAMINA_OK;
  put_text(&l, "machine");
  put_text(&l, tuning->machine);
  const double number[] = {r->flops, r->flops_half, r->read, r->copy, r->region};
  for (size_t i = 0; i < LAMINA_COUNT_OF(number); i++) put_number(&l, number[i]);
  LAMINA_TRY(lamina_records_add(&tuning->known->records, l.field, l.fields, true));
  take_roofline(device, tuning); /* with the digits that the file has: the same the next time */
  return save(device);
}

/* Known when the engines are settled. */
static const char *device_key(lamina_device *device) {
  struct lamina_tuning *tuning = device->tuning;
  if (!*tuning->device)
    snprintf(tuning->device, sizeof tuning->device, "%s; engines %016llx", tuning->machine,
             (unsigned long long)build_of(device));
  return tuning->device;
}

/* What the records of one problem begin with. */
typedef struct subject {
  lamina_device *device;
  char problem[4096], hash[20];
} subject;

/* The text says what people want to know and the hash the rest (alignment). False where it doesn't fit. */
static bool subject_of(lamina_device *device, const lamina_problem *problem, subject *s) {
  s->device = device;
  lamina_problem_text(problem, s->problem, sizeof s->problem);
  snprintf(s->hash, sizeof s->hash, "%016llx", (unsigned long long)mix(4, problem, sizeof *problem));
  return strlen(s->problem) + 1 < sizeof s->problem;
}

static void begin(line *l, const char *kind, const subject *s) {
  l->fields = 0;
  put_text(l, kind);
  put_text(l, device_key(s->device));
  put_text(l, s->problem);
  put_text(l, s->hash);
}

static const lamina_record *find(const subject *s, const char *kind, const char *engine) {
  line l;
  begin(&l, kind, s);
  if (engine) put_text(&l, engine);
  return lamina_records_find(&s->device->tuning->known->records, l.field);
}

static lamina_status keep_wrong(void *user, const char *engine, const char *reason) {
  subject *s = user;
  char text[1400];
  line l;
  snprintf(text, sizeof text, "%s", reason);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ') *c = ' ';
  lamina_log(s->device, LAMINA_LOG_WARNING, "%s by %s is left out: %s", s->problem, engine, text);
  begin(&l, "wrong", s);
  put_text(&l, engine);
  put_text(&l, text);
  return lamina_records_add(&s->device->tuning->known->records, l.field, l.fields, true);
}

static lamina_status keep_winner(const subject *s, const lamina_tuned *t) {
  line l;
  lamina_log(s->device, LAMINA_LOG_INFO, "tuned %s: %s takes %.3g ms ±%.0f%%, %s, the fastest of %d", s->problem,
             t->engine, 1e3 * t->seconds, 100 * t->spread, t->proof, t->timed);
  begin(&l, "plan", s);
  put_text(&l, t->engine);
  put_number(&l, t->seconds);
  put_number(&l, t->spread);
  put_text(&l, t->proof);
  put_number(&l, (double)t->elements);
  put_number(&l, t->worst);
  return lamina_records_add(&s->device->tuning->known->records, l.field, l.fields, true);
}

/* Behind the number of threads, "2 threads, ": devices that share what is known differ in nothing else. */
static const char *past_threads(const char *key) {
  const char *at = strstr(key, " thread"), *comma = at ? strchr(at, ',') : NULL;
  return comma ? comma : key;
}

lamina_status lamina_tune_save(lamina_device *device, const char *path) {
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(path, "path");
  struct lamina_tuning *tuning = device->tuning;
  lamina_records mine = {.allocator = &device->allocator};
  lamina_status status = LAMINA_OK;
  if (tuning) pthread_mutex_lock(&tuning->known->lock);
  for (int i = 0; tuning && i < tuning->known->records.count && !status; i++) {
    const lamina_record *record = &tuning->known->records.list[i];
    const char *key = past_threads(record->field[1]);
    if (strcmp(key, past_threads(tuning->machine)) == 0 || strcmp(key, past_threads(device_key(device))) == 0)
      status = lamina_records_add(&mine, record->field, record->fields, false);
  }
  if (tuning) pthread_mutex_unlock(&tuning->known->lock);
  if (!status) status = lamina_records_replace(path, &mine);
  lamina_records_close(&mine);
  return status;
}

/* ---- Choosing ---------------------------------------------------------------------------------------------------------- */

static void name_choice(const lamina_choice *choice, char *name, size_t size) {
  snprintf(name, size, "%s%s%s", choice->engine->name, *choice->variant ? "/" : "", choice->variant);
}

/* Refusals come last. */
static void leave_out_wrong(const subject *s, lamina_choices *choices) {
  char name[144];
  for (int i = 0, n = choices->count; n-- > 0;) {
    lamina_choice choice = choices->list[i];
    name_choice(&choice, name, sizeof name);
    const lamina_record *record = choice.seconds < 0 ? NULL : find(s, "wrong", name);
    if (!record) {
      i++;
      continue;
    }
    choice.seconds = -1;
    snprintf(choice.reason, sizeof choice.reason, "it was wrong when it was tuned: %s", record->field[5]);
    memmove(&choices->list[i], &choices->list[i + 1], (size_t)(choices->count - i - 1) * sizeof choice);
    choices->list[choices->count - 1] = choice;
  }
}

/* A record of an engine that isn't offered any more is none. */
static void put_first(const lamina_record *record, lamina_choices *choices) {
  char name[144];
  double seconds, spread;
  for (int i = 0; i < choices->count; i++) {
    lamina_choice choice = choices->list[i];
    name_choice(&choice, name, sizeof name);
    if (choice.seconds < 0 || strcmp(name, record->field[4]) != 0) continue;
    if (!lamina_read_real(record->field[5], &seconds) || !lamina_read_real(record->field[6], &spread)) return;
    choice.seconds = seconds;
    snprintf(choice.tuned, sizeof choice.tuned, "%.3g ms ±%.0f%%, %s", 1e3 * seconds, 100 * spread, record->field[7]);
    memmove(&choices->list[1], &choices->list[0], (size_t)i * sizeof choice);
    choices->list[0] = choice;
    return;
  }
}

static lamina_status tune(const subject *s, const lamina_problem *problem, lamina_choices *choices) {
  lamina_tuned tuned;
  subject told = *s;
  const lamina_status status =
      lamina_tune_problem(s->device, problem, choices, s->device->tuning->seconds, keep_wrong, &told, &tuned);
  if (status == LAMINA_OUT_OF_MEMORY || status == LAMINA_DEVICE) return status;
  if (status) lamina_log(s->device, LAMINA_LOG_WARNING, "%s isn't tuned: %s", s->problem, lamina_last_error());
  if (!status && tuned.timed) LAMINA_TRY(keep_winner(s, &tuned));
  leave_out_wrong(s, choices);
  return save(s->device);
}

/* Each engine would bring layouts of its own, and those who leave them open only ask what they would be. */
static bool leaves_open(const lamina_problem *problem) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (problem->arg[i].dtype && problem->arg[i].layout == LAMINA_LAYOUT_ANY) return true;
  return false;
}

lamina_status lamina_tuning_apply(lamina_device *device, const lamina_problem *problem, lamina_choices *choices) {
  struct lamina_tuning *tuning = device->tuning;
  lamina_status status = LAMINA_OK;
  subject s;
  if (!tuning || lamina_has_empty_input(problem) || leaves_open(problem)) return LAMINA_OK;
  pthread_mutex_lock(&tuning->known->lock);
  if (subject_of(device, problem, &s)) {
    leave_out_wrong(&s, choices);
    if (tuning->tune && !find(&s, "plan", NULL)) status = tune(&s, problem, choices);
    const lamina_record *record = status ? NULL : find(&s, "plan", NULL);
    if (record) put_first(record, choices);
  }
  pthread_mutex_unlock(&tuning->known->lock);
  return status;
}
