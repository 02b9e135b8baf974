# rendering and video; libEGL and libav are loaded at run time, libav's headers decide what is built
set(PAWL_RENDER_SOURCES
  render.cc
  render_gl.cc
  video.cc)
if(LIBAV_FOUND)
  list(APPEND PAWL_RENDER_SOURCES video_libav.cc)
  set_source_files_properties(video.cc video_libav.cc PROPERTIES
    COMPILE_DEFINITIONS PAWL_HAVE_LIBAV
    INCLUDE_DIRECTORIES "${LIBAV_INCLUDE_DIRS}")
endif()
