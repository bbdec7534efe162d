/* A device's table of engines: what is built in, what a program or a plug-in registers, and what LAMINA_ENGINE asks for.
 *
 *   open ── built-in rows ── lamina_engine_register, lamina_plugin_load ── first plan: settled, it never changes again */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>

#include "core/device.h"

bool lamina_part_of(const char *prefix, const char *name) {
  const size_t length = strlen(prefix);
  return strncmp(prefix, name, length) == 0 && (name[length] == 0 || name[length] == '/');
}

const lamina_engine *lamina_engine_at(const lamina_device *device, int index) {
  return device && index >= 0 && index < device->engine_count ? device->engines[index] : NULL;
}

/* ---- Registering ------------------------------------------------------------------------------------------------- */

/* Letters, digits and - _ . in parts with / between; short enough for the tables that it is copied into. */
static bool is_name(const char *name) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (strlen(name) > 63) return false;
  for (;; name++) {
    const size_t part = strspn(name, allowed);
    name += part;
    if (!part || (*name && *name != '/')) return false;
    if (!*name) return true;
  }
}

static bool any_op(const char *op) { return strcmp(op, "*") == 0; }

static lamina_status check_row(const lamina_device *device, const lamina_engine *engine) {
  if (engine->size != sizeof *engine || engine->abi != LAMINA_ENGINE_ABI)
    return lamina_error(LAMINA_INVALID,
                        "the engine was built for ABI %u with a row of %u bytes; this library has ABI %u and %zu bytes",
                        engine->abi, engine->size, LAMINA_ENGINE_ABI, sizeof *engine);
  if (!engine->name) return lamina_error(LAMINA_INVALID, "the engine's name is NULL");
  const char *name = engine->name;
  if (!is_name(name))
    return lamina_error(LAMINA_INVALID,
                        "the engine's name is \"%.80s\"; expected up to 63 letters, digits and - _ . in parts with / "
                        "between, such as kernel/direct",
                        name);
  if (!engine->device || !device->module.kind ||
      (strcmp(engine->device, "*") != 0 && strcmp(engine->device, device->module.kind) != 0))
    return lamina_error(LAMINA_INVALID, "engine %s: its device is %s; expected %s, for %s", name,
                        engine->device ? engine->device : "NULL", device->module.kind, device->name);
  if (!engine->op)
    return lamina_error(LAMINA_INVALID, "engine %s: its op is NULL; expected a name such as conv/forward, or *", name);
  if (!any_op(engine->op) && lamina_op_find(engine->op) < 0)
    return lamina_error(LAMINA_INVALID, "engine %s: there is no op \"%s\"", name, engine->op);
  if (engine->strides < LAMINA_STRIDES_ANY || engine->strides > LAMINA_STRIDES_BLOCKED)
    return lamina_error(LAMINA_INVALID, "engine %s: its strides are %d; expected a lamina_strides", name,
                        (int)engine->strides);
  if (!engine->candidates) return lamina_error(LAMINA_INVALID, "engine %s: its candidates is NULL", name);
  if (!engine->run) return lamina_error(LAMINA_INVALID, "engine %s: its run is NULL", name);
  for (int i = 0; i < device->engine_count; i++) {
    const lamina_engine *there = device->engines[i];
    if (strcmp(there->name, name) == 0 &&
        (any_op(there->op) || any_op(engine->op) || strcmp(there->op, engine->op) == 0))
      return lamina_error(LAMINA_INVALID, "engine %s: %s has an engine of this name for %s already", name, device->name,
                          any_op(engine->op) ? there->op : engine->op);
  }
  return LAMINA_OK;
}

lamina_status lamina_engine_register(lamina_device *device, const lamina_engine *engine) {
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(engine, "engine");
  LAMINA_TRY(check_row(device, engine));
  if (atomic_load(&device->settled))
    return lamina_error(LAMINA_INVALID, "engine %s: engines are registered before the device's first plan",
                        engine->name);
  const lamina_engine **grown =
      lamina_grow(&device->allocator, device->engines, (size_t)(device->engine_count + 1) * sizeof *grown);
  if (!grown) return LAMINA_OUT_OF_MEMORY;
  device->engines = grown;
  device->engines[device->engine_count++] = engine;
  return LAMINA_OK;
}

/* ---- Plug-ins ---------------------------------------------------------------------------------------------------- */

/* Opens the library and calls its one function; what it registered stays in the device's table. */
static lamina_status open_plugin(lamina_device *device, const char *path, void **library) {
  char file[PATH_MAX];
  lamina_plugin_open_fn *open;
  const int length = snprintf(file, sizeof file, "%s%s", strchr(path, '/') ? "" : "./", path); /* never searched for */
  if (length < 0 || (size_t)length >= sizeof file)
    return lamina_error(LAMINA_INVALID, "plug-in %.80s…: the path is too long", path);
  *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!*library) return lamina_error(LAMINA_IO, "plug-in %s can't be loaded: %s", path, dlerror());
  void *symbol = dlsym(*library, "lamina_plugin_open");
  if (!symbol) return lamina_error(LAMINA_INVALID, "plug-in %s: it has no lamina_plugin_open", path);
  memcpy(&open, &symbol, sizeof symbol); /* POSIX allows it, ISO C has no cast for it */
  const int before = device->engine_count;
  (void)lamina_error(LAMINA_INVALID, "it refused without a reason");
  const lamina_status status = open(&lamina_core_host, device);
  if (status) return lamina_error_at(status, "plug-in %s: ", path);
  if (device->engine_count == before) return lamina_error(LAMINA_INVALID, "plug-in %s: it registered no engine", path);
  return LAMINA_OK;
}

lamina_status lamina_plugin_load(lamina_device *device, const char *path) {
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(path, "path");
  if (atomic_load(&device->settled))
    return lamina_error(LAMINA_INVALID, "plug-in %s: plug-ins are loaded before the device's first plan", path);
  const size_t size = (size_t)(device->plugin_count + 1) * sizeof *device->plugins;
  lamina_plugin *grown = lamina_grow(&device->allocator, device->plugins, size);
  if (!grown) return LAMINA_OUT_OF_MEMORY;
  device->plugins = grown;
  lamina_plugin plugin = {.path = lamina_copy_text(&device->allocator, path), .first = device->engine_count};
  if (!plugin.path) return LAMINA_OUT_OF_MEMORY;
  const lamina_status status = open_plugin(device, path, &plugin.library);
  if (status) {
    device->engine_count = plugin.first;
    if (plugin.library) dlclose(plugin.library);
    lamina_free(&device->allocator, plugin.path);
    return status;
  }
  plugin.count = device->engine_count - plugin.first;
  device->plugins[device->plugin_count++] = plugin;
  return LAMINA_OK;
}

const char *lamina_engines_plugin(const lamina_device *device, const char *name, const char *op) {
  for (int p = 0; p < device->plugin_count; p++)
    for (int i = 0; i < device->plugins[p].count; i++) {
      const lamina_engine *engine = device->engines[device->plugins[p].first + i];
      if (strcmp(engine->name, name) == 0 && (any_op(engine->op) || strcmp(engine->op, op) == 0))
        return device->plugins[p].path;
    }
  return NULL;
}

void lamina_engines_close(lamina_device *device) {
  for (int p = 0; p < device->plugin_count; p++) {
    dlclose(device->plugins[p].library);
    lamina_free(&device->allocator, device->plugins[p].path);
  }
  lamina_free(&device->allocator, device->plugins);
  lamina_free(&device->allocator, device->engines);
  lamina_free(&device->allocator, device->overrides);
}

/* ---- What LAMINA_ENGINE asks for ----------------------------------------------------------------------------------- */

lamina_status lamina_engines_override(lamina_device *device, const char *text) {
  int count = 1;
  for (const char *c = text; *c; c++) count += *c == ',';
  device->overrides = lamina_alloc_zero(&device->allocator, (size_t)count * sizeof *device->overrides);
  if (!device->overrides) return LAMINA_OUT_OF_MEMORY;
  while (*text) {
    const size_t length = strcspn(text, ",");
    const char *colon = memchr(text, ':', length);
    lamina_override *to = &device->overrides[device->override_count];
    if (!colon || colon == text || colon + 1 == text + length || (size_t)(colon - text) >= sizeof to->op ||
        length >= sizeof to->engine)
      return lamina_error(LAMINA_INVALID, "LAMINA_ENGINE: \"%.*s\" is not OP:ENGINE, such as conv/forward:ref",
                          (int)length, text);
    snprintf(to->op, sizeof to->op, "%.*s", (int)(colon - text), text);
    snprintf(to->engine, sizeof to->engine, "%.*s", (int)(text + length - colon - 1), colon + 1);
    device->override_count++;
    bool op = false;
    for (int id = 0; lamina_op_at(id); id++) op |= lamina_part_of(to->op, lamina_op_at(id)->name);
    if (!op) return lamina_error(LAMINA_INVALID, "LAMINA_ENGINE: there is no op \"%s\"", to->op);
    text += length + (text[length] == ',');
  }
  return LAMINA_OK;
}

static lamina_status check_override(const lamina_device *device, const lamina_override *override) {
  bool found = false;
  char names[1024] = "";
  for (int i = 0; i < device->engine_count; i++) {
    const char *name = device->engines[i]->name;
    const size_t length = strlen(name);
    bool repeated = false; /* listed once for all its ops */
    for (int j = 0; j < i; j++) repeated |= strcmp(device->engines[j]->name, name) == 0;
    if (!repeated) lamina_append(names, sizeof names, "%s%s", i ? ", " : "", name);
    found |= lamina_part_of(override->engine, name) ||
             (strncmp(override->engine, name, length) == 0 && override->engine[length] == '/');
  }
  if (found) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "LAMINA_ENGINE: %s has no engine \"%s\"; it has %s", device->name,
                      override->engine, names);
}

lamina_status lamina_engines_settle(lamina_device *device) {
  if (atomic_load(&device->settled)) return LAMINA_OK;
  for (int i = 0; i < device->override_count; i++) LAMINA_TRY(check_override(device, &device->overrides[i]));
  atomic_store(&device->settled, true);
  return LAMINA_OK;
}
