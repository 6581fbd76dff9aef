# The target pluck::cjson: an installed cJSON of version 1.7.15 or later. If there is none,
# pluck_cjson_problem says so. Debian and vcpkg have a package for CMake and one for pkg-config,
# others have one of them; header and library are in the usual places with all of them, or where
# pkg-config says.
if(NOT TARGET pluck::cjson)
  find_package(PkgConfig QUIET)
  if(PKG_CONFIG_FOUND)
    pkg_check_modules(PLUCK_CJSON_HINT QUIET libcjson)
  endif()
  find_path(PLUCK_CJSON_INCLUDE_DIR cjson/cJSON.h HINTS ${PLUCK_CJSON_HINT_INCLUDE_DIRS})
  find_library(PLUCK_CJSON_LIBRARY cjson HINTS ${PLUCK_CJSON_HINT_LIBRARY_DIRS})
  mark_as_advanced(PLUCK_CJSON_INCLUDE_DIR PLUCK_CJSON_LIBRARY)
  set(pluck_cjson_problem "cJSON was not found; install it (Debian: libcjson-dev), or name its prefix in CMAKE_PREFIX_PATH")
  if(PLUCK_CJSON_INCLUDE_DIR AND PLUCK_CJSON_LIBRARY)
    file(STRINGS "${PLUCK_CJSON_INCLUDE_DIR}/cjson/cJSON.h" pluck_cjson_version
      REGEX "^#define CJSON_VERSION_(MAJOR|MINOR|PATCH)")
    string(REGEX REPLACE "[^0-9;]" "" pluck_cjson_version "${pluck_cjson_version}")
    string(REPLACE ";" "." pluck_cjson_version "${pluck_cjson_version}")
    if(pluck_cjson_version VERSION_LESS 1.7.15)
      set(pluck_cjson_problem "cJSON is ${pluck_cjson_version}; 1.7.15 or later is needed")
    else()
      add_library(pluck::cjson UNKNOWN IMPORTED)
      set_target_properties(pluck::cjson PROPERTIES
        IMPORTED_LOCATION "${PLUCK_CJSON_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${PLUCK_CJSON_INCLUDE_DIR}")
    endif()
  endif()
endif()
