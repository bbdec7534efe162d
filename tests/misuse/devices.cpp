// Devices, plans and verification: calls that a program must not make.
#include "misuse/world.h"

// ---- Devices ---------------------------------------------------------------------------------------------------------

WITHOUT(lamina_device_open, "name", nullptr, nullptr, &a_device)
WITHOUT(lamina_device_open, "device", "cpu", nullptr, nullptr)
BAD(lamina_device_open, "an unknown name", DEVICE, "nosuch:0", "\"nosuch\"") {
  return lamina_device_open("nosuch:0", nullptr, &a_device);
}
BAD(lamina_device_open, "threads -1", INVALID, "options.threads is -1") {
  lamina_device_options o = {};
  o.threads = -1;
  return lamina_device_open("cpu", &o, &a_device);
}
BAD(lamina_device_open, "threads 2^31", INVALID, "options.threads is 2147483647") {
  lamina_device_options o = {};
  o.threads = INT_MAX;
  return lamina_device_open("cpu", &o, &a_device);
}
BAD(lamina_device_open, "plan_cache -1", INVALID, "options.plan_cache is -1") {
  lamina_device_options o = {};
  o.plan_cache = -1;
  return lamina_device_open("cpu", &o, &a_device);
}
BAD(lamina_device_open, "plan_cache 2^31", INVALID, "options.plan_cache") {
  lamina_device_options o = {};
  o.plan_cache = INT_MAX;
  return lamina_device_open("cpu", &o, &a_device);
}
BAD(lamina_device_open, "half an allocator", INVALID, "allocator has no function free") {
  lamina_device_options o = {};
  o.allocator = &no_free;
  return lamina_device_open("cpu", &o, &a_device);
}
BAD(lamina_device_open, "an unknown engine", INVALID, "LAMINA_ENGINE: \"conv\" is not OP:ENGINE") {
  lamina_device_options o = {};
  o.engine = "conv";
  return lamina_device_open("cpu", &o, &a_device);
}

BAD(lamina_device_open, "tune_seconds -1", INVALID, "options.tune_seconds is -1") {
  lamina_device_options o = {};
  o.tune_seconds = -1;
  return lamina_device_open("cpu", &o, &a_device);
}
BAD(lamina_device_open, "tune_seconds NaN", INVALID, "options.tune_seconds is nan") {
  lamina_device_options o = {};
  o.tune_seconds = NAN;
  return lamina_device_open("cpu", &o, &a_device);
}
WITHOUT(lamina_tune_save, "device", nullptr, "tune.txt")
WITHOUT(lamina_tune_save, "path", w.device, nullptr)
BAD(lamina_tune_save, "a folder that isn't there", IO, "/no/such/folder/tune.txt") {
  return lamina_tune_save(w.device, "/no/such/folder/tune.txt");
}
WITHOUT(lamina_roofline_measure, "device", nullptr, nullptr)
BAD(lamina_roofline_measure, "after a plan", INVALID, "before the first") {
  return lamina_roofline_measure(w.device, nullptr);
}

WITHOUT(lamina_stream_open, "device", nullptr, &a_stream)
WITHOUT(lamina_stream_open, "stream", w.device, nullptr)

WITHOUT(lamina_stream_sync, "device", nullptr, nullptr)
BAD(lamina_stream_sync, "another device's stream", INVALID, "stream is one of another device") {
  return lamina_stream_sync(w.device, w.stream);
}

WITHOUT(lamina_stream_wrap, "device", nullptr, w.numbers, &a_stream)
WITHOUT(lamina_stream_wrap, "native", w.device, nullptr, &a_stream)
WITHOUT(lamina_stream_wrap, "stream", w.device, w.numbers, nullptr)
BAD(lamina_stream_wrap, "a device without native streams", UNSUPPORTED, "cpu has no streams") {
  return lamina_stream_wrap(w.device, w.numbers, &a_stream);
}

WITHOUT(lamina_event_open, "device", nullptr, &an_event)
WITHOUT(lamina_event_open, "event", w.device, nullptr)
WITHOUT(lamina_event_open_timed, "device", nullptr, &an_event)
WITHOUT(lamina_event_open_timed, "event", w.device, nullptr)
WITHOUT(lamina_event_seconds, "from", nullptr, w.event, &seconds)
WITHOUT(lamina_event_seconds, "to", w.event, nullptr, &seconds)
WITHOUT(lamina_event_seconds, "seconds", w.event, w.event, nullptr)
BAD(lamina_event_seconds, "events without times", INVALID, "from has no time; expected a timed event") {
  return lamina_event_seconds(w.event, w.event, &seconds);
}
WITHOUT(lamina_event_sync, "event", nullptr)
WITHOUT(lamina_event_done, "event", nullptr, &done)
WITHOUT(lamina_event_done, "done", w.event, nullptr)
WITHOUT(lamina_event_record, "event", nullptr, nullptr)
BAD(lamina_event_record, "another device's stream", INVALID, "lamina_event_record: stream") {
  return lamina_event_record(w.event, w.stream);
}
WITHOUT(lamina_event_wait, "event", nullptr, nullptr)
BAD(lamina_event_wait, "another device's stream", INVALID, "lamina_event_wait: stream") {
  return lamina_event_wait(w.event, w.stream);
}

WITHOUT(lamina_pinned_alloc, "device", nullptr, 16, &memory)
WITHOUT(lamina_pinned_alloc, "memory", w.device, 16, nullptr)
BAD(lamina_pinned_alloc, "2^62", OUT_OF_MEMORY, "out of memory") {
  return lamina_pinned_alloc(w.device, size_t(1) << 62, &memory);
}

WITHOUT(lamina_memory_alloc, "device", nullptr, 16, &memory)
WITHOUT(lamina_memory_alloc, "memory", w.device, 16, nullptr)
BAD(lamina_memory_alloc, "all there is", OUT_OF_MEMORY, "18446744073709551615 bytes") {
  return lamina_memory_alloc(w.device, SIZE_MAX, &memory);
}
BAD(lamina_memory_alloc, "2^62", OUT_OF_MEMORY, "out of memory") {
  return lamina_memory_alloc(w.device, size_t(1) << 62, &memory);
}

WITHOUT(lamina_copy, "device", nullptr, w.numbers, w.numbers, 4, nullptr)
WITHOUT(lamina_copy, "to", w.device, nullptr, w.numbers, 4, nullptr)
WITHOUT(lamina_copy, "from", w.device, w.numbers, nullptr, 4, nullptr)
BAD(lamina_copy, "another device's stream", INVALID, "lamina_copy: stream") {
  return lamina_copy(w.device, w.numbers, w.numbers + 4, 4, w.stream);
}

WITHOUT(lamina_copy_async, "device", nullptr, w.numbers, w.numbers, 4, nullptr)
WITHOUT(lamina_copy_async, "to", w.device, nullptr, w.numbers, 4, nullptr)
WITHOUT(lamina_copy_async, "from", w.device, w.numbers, nullptr, 4, nullptr)
BAD(lamina_copy_async, "another device's stream", INVALID, "lamina_copy_async: stream") {
  return lamina_copy_async(w.device, w.numbers, w.numbers + 4, 4, w.stream);
}

WITHOUT(lamina_engine_register, "engine", w.device, nullptr)
BAD(lamina_engine_register, "an empty row", INVALID, "ABI 0") {
  const lamina_engine e = {};
  return lamina_engine_register(w.device, &e);
}

WITHOUT(lamina_plugin_load, "path", w.other, nullptr)
BAD(lamina_plugin_load, "no library", IO, "text.txt") {
  return lamina_plugin_load(w.other, w.file("text.txt").c_str());
}

// ---- Problems and plans ----------------------------------------------------------------------------------------------

WITHOUT(lamina_problem_init, "problem", nullptr, 0, nullptr, nullptr)
WITHOUT(lamina_problem_init, "arg", &w.problem, 0, nullptr, nullptr)
BAD(lamina_problem_init, "no op", INVALID, "there is no op number -7") {
  const lamina_desc *arg[LAMINA_MAX_ARGS] = {};
  return lamina_problem_init(&w.problem, -7, nullptr, arg);
}

WITHOUT(lamina_problem_infer, "problem", nullptr)
BAD(lamina_problem_infer, "no op", INVALID, "there is no op number 99999") {
  w.problem.op = 99999;
  return lamina_problem_infer(&w.problem);
}

WITHOUT(lamina_plan_open, "device", nullptr, &w.problem, nullptr, &a_plan)
WITHOUT(lamina_plan_open, "problem", w.device, nullptr, nullptr, &a_plan)
WITHOUT(lamina_plan_open, "plan", w.device, &w.problem, nullptr, nullptr)
BAD(lamina_plan_open, "an unknown engine", UNSUPPORTED, "\"magic\"") {
  lamina_plan_options o = {};
  o.engine = "magic";
  return lamina_plan_open(w.device, &w.problem, &o, &a_plan);
}
BAD(lamina_plan_open, "math 99", INVALID, "math is 99") {
  lamina_plan_options o = {};
  o.math = static_cast<lamina_math>(99);
  return lamina_plan_open(w.device, &w.problem, &o, &a_plan);
}
BAD(lamina_plan_open, "a long engine", INVALID, "is too long") {
  const std::string name(200, 'e');
  lamina_plan_options o = {};
  o.engine = name.c_str();
  return lamina_plan_open(w.device, &w.problem, &o, &a_plan);
}

WITHOUT(lamina_plan_run, "plan", nullptr, lamina_data_args(w.filled), nullptr, nullptr)
WITHOUT(lamina_plan_run, "args", w.plan, nullptr, nullptr, nullptr)
BAD(lamina_plan_run, "no data", INVALID, "the data of x is NULL") {
  const lamina_args args = {};
  return lamina_plan_run(w.plan, &args, nullptr, nullptr);
}
BAD(lamina_plan_run, "another device's stream", INVALID, "stream is one of another device") {
  return lamina_plan_run(w.plan, lamina_data_args(w.filled), nullptr, w.stream);
}

BAD(lamina_conv_forward_run, "another op's plan", INVALID, "conv/forward: the plan is one of relu/forward") {
  const lamina_conv_forward_args args = {};
  return lamina_conv_forward_run(w.plan, &args, nullptr, nullptr);
}

WITHOUT(lamina_candidates, "device", nullptr, &w.problem, nullptr, nullptr, &a_count)
WITHOUT(lamina_candidates, "problem", w.device, nullptr, nullptr, nullptr, &a_count)
WITHOUT(lamina_candidates, "count", w.device, &w.problem, nullptr, nullptr, nullptr)

BAD(lamina_op_run, "an unknown op", INVALID, "\"conv/sideways\"") {
  const lamina_tensor *t[] = {&w.x, &w.y};
  return lamina_op_run(w.device, "conv/sideways", nullptr, t, nullptr);
}
BAD(lamina_op_run, "no tensors", INVALID, "relu/forward: tensor is NULL") {
  return lamina_op_run(w.device, "relu/forward", nullptr, nullptr, nullptr);
}
WITHOUT(lamina_op_run, "op", w.device, nullptr, nullptr, nullptr, nullptr)

WITHOUT(lamina_op_plan, "op", w.device, nullptr, nullptr, nullptr, nullptr, &a_plan)
BAD(lamina_op_plan, "plan NULL", INVALID, "relu/forward: plan is NULL") {
  const lamina_tensor *t[] = {&w.x, &w.y};
  return lamina_op_plan(w.device, "relu/forward", nullptr, t, nullptr, nullptr);
}

WITHOUT(lamina_reference_run, "problem", nullptr, lamina_data_args(w.filled), nullptr, 1, nullptr)
WITHOUT(lamina_reference_run, "args", &w.problem, nullptr, nullptr, 1, nullptr)
BAD(lamina_reference_run, "threads -1", INVALID, "threads is -1") {
  return lamina_reference_run(&w.problem, lamina_data_args(w.filled), nullptr, -1, nullptr);
}
BAD(lamina_reference_run, "half an allocator", INVALID, "allocator has no function free") {
  return lamina_reference_run(&w.problem, lamina_data_args(w.filled), nullptr, 1, &no_free);
}

BAD(lamina_reference_at, "no such argument", INVALID, "argument 7") {
  return lamina_reference_at(&w.problem, lamina_data_args(w.filled), 7, 0, nullptr, nullptr, nullptr);
}
BAD(lamina_reference_at, "an input", INVALID, "argument 0") {
  return lamina_reference_at(&w.problem, lamina_data_args(w.filled), 0, 0, nullptr, nullptr, nullptr);
}
BAD(lamina_reference_at, "no such element", INVALID, "element[0] of y is 4") {
  const int64_t at = 4;
  lamina_expected e;
  return lamina_reference_at(&w.problem, lamina_data_args(w.filled), 1, 1, &at, &e, nullptr);
}
WITHOUT(lamina_reference_at, "element", &w.problem, lamina_data_args(w.filled), 1, 1, nullptr, nullptr, nullptr)

// ---- Verification ----------------------------------------------------------------------------------------------------

WITHOUT(lamina_case_parse, "words", 1, nullptr, nullptr, &w.c)
WITHOUT(lamina_case_parse, "c", 0, nullptr, nullptr, nullptr)
BAD(lamina_case_parse, "a NULL word", INVALID, "words[1] is NULL") {
  const char *words[] = {"relu/forward", nullptr};
  return lamina_case_parse(2, words, nullptr, &w.c);
}
BAD(lamina_case_parse, "count -1", INVALID, "expected an op") {
  const char *words[] = {"relu/forward"};
  return lamina_case_parse(-1, words, nullptr, &w.c);
}

WITHOUT(lamina_data_open, "device", nullptr, &w.c, &a_data)
WITHOUT(lamina_data_open, "c", w.device, nullptr, &a_data)
BAD(lamina_data_open, "an offset of -1", INVALID, "offset[1], of y, is -1") {
  w.c.offset[1] = -1;
  return lamina_data_open(w.device, &w.c, &a_data);
}
BAD(lamina_data_open, "an offset of 2^60", INVALID, "offset[0], of x") {
  w.c.offset[0] = int64_t(1) << 60;
  return lamina_data_open(w.device, &w.c, &a_data);
}

WITHOUT(lamina_data_reset, "data", nullptr)

WITHOUT(lamina_data_fetch, "data", nullptr)

WITHOUT(lamina_verify, "c", w.device, nullptr, nullptr, nullptr, &a_count)
WITHOUT(lamina_verify, "count", w.device, &w.c, nullptr, nullptr, nullptr)
BAD(lamina_verify, "sample -1", INVALID, "options.sample is -1") {
  lamina_verify_options o = {};
  o.sample = -1;
  return lamina_verify(w.device, &w.c, &o, nullptr, &a_count);
}
BAD(lamina_verify, "an unknown engine", UNSUPPORTED, "magic") {
  lamina_verify_options o = {};
  o.engine = "magic";
  return lamina_verify(w.device, &w.c, &o, nullptr, &a_count);
}

WITHOUT(lamina_check_open, "data", nullptr, 0, &a_check)
BAD(lamina_check_open, "sample -1", INVALID, "sample is -1") { return lamina_check_open(w.filled, -1, &a_check); }
WITHOUT(lamina_check_run, "check", nullptr, w.plan, &a_verdict)
WITHOUT(lamina_check_run, "plan", w.check, nullptr, &a_verdict)
WITHOUT(lamina_check_run, "verdict", w.check, w.plan, nullptr)

BAD(lamina_cases_open, "no op", INVALID, "there is no op number 99999") {
  return lamina_cases_open(99999, LAMINA_F32, 1, nullptr, &a_cases);
}
BAD(lamina_cases_open, "no floating type", INVALID, "i32") {
  return lamina_cases_open(0, LAMINA_I32, 1, nullptr, &a_cases);
}
BAD(lamina_cases_open, "no type", INVALID, "floating") {
  return lamina_cases_open(0, static_cast<lamina_dtype>(99), 1, nullptr, &a_cases);
}

WITHOUT(lamina_cases_next, "cases", nullptr, &w.c)
