# its own executable: only this one links libav, to decode what was written
set(PAWL_RENDER_TESTS render_test.cc)
if(LIBAV_FOUND)
  list(APPEND PAWL_RENDER_TESTS video_test.cc)
  set(PAWL_RENDER_TEST_LIBS PkgConfig::LIBAV)
endif()
pawl_test(envs_render SOURCES ${PAWL_RENDER_TESTS} DEPS envs LIBS ${PAWL_RENDER_TEST_LIBS} LABELS envs)
