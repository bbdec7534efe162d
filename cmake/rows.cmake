# A table's rows, from the sources that define them.
#   lamina_rows(OUTPUT file TYPE lamina_engine PREFIX lamina_cpu_ FILES file…)
# writes ROW(name) for each, in the order of the files and their lines, whenever one of them changed. A row begins a line:
#   const TYPE PREFIXname = {        or, where a row is itself a list,        const TYPE PREFIXname[] = {
# What defines one in another form (by a macro, say) is an error, since it would be left out.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(LAMINA_ROWS_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
  function(lamina_rows)
    cmake_parse_arguments(PARSE_ARGV 0 rows "" "OUTPUT;TYPE;PREFIX" "FILES")
    add_custom_command(OUTPUT ${rows_OUTPUT}
      COMMAND ${CMAKE_COMMAND} -DTO=${rows_OUTPUT} -DTYPE=${rows_TYPE} -DPREFIX=${rows_PREFIX} "-DFILES=${rows_FILES}"
        -P ${LAMINA_ROWS_SCRIPT}
      DEPENDS ${LAMINA_ROWS_SCRIPT} ${rows_FILES} VERBATIM)
  endfunction()
  return()
endif()

set(rows "")
foreach(file ${FILES})
  file(STRINGS ${file} lines REGEX "${TYPE} ${PREFIX}")
  foreach(line IN LISTS lines)
    if(line MATCHES "^const ${TYPE} (${PREFIX}[a-z0-9_]+)(\\[\\])? = {")
      list(APPEND rows "ROW(${CMAKE_MATCH_1})\n")
    elseif(NOT line MATCHES "extern const ${TYPE} ")
      message(FATAL_ERROR "${file}: \"${line}\" defines no row that can be found; one begins a line, as "
        "`const ${TYPE} ${PREFIX}name = {`")
    endif()
  endforeach()
endforeach()
if(NOT rows)
  message(FATAL_ERROR "no row `const ${TYPE} ${PREFIX}name = {` is in ${FILES}")
endif()
string(CONCAT text ${rows})
file(WRITE ${TO} "${text}")
