# lamina_static_module(TARGET OBJECTS object…): a device module for programs that are linked statically, liblamina-cuda.a,
# of what the shared one is made of, but for its entry by the common name. It is one object whose inner names are its own,
# so that none meets a name of the program.
function(lamina_static_module target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OBJECTS")
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${target}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r --force-group-allocation -o ${object} "$<FILTER:${arg_OBJECTS},EXCLUDE,/entry[.]c[.]o$>"
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${object}
    DEPENDS ${arg_OBJECTS} COMMAND_EXPAND_LISTS VERBATIM)
  add_library(${target} STATIC ${object})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
endfunction()
