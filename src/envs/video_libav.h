// The functions of libav that video.cc uses, found at run time in the libraries whose headers it
// was built with.
#pragma once
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

namespace pawl::envs {

// PAWL_LIBAV_FUNCTIONS(X): X(library, function).
// clang-format off
#define PAWL_LIBAV_FUNCTIONS(X) \
  X(avutil, av_dict_free) \
  X(avutil, av_dict_set) \
  X(avutil, av_frame_alloc) \
  X(avutil, av_frame_free) \
  X(avutil, av_frame_get_buffer) \
  X(avutil, av_frame_make_writable) \
  X(avutil, av_log_set_level) \
  X(avutil, av_opt_set) \
  X(avutil, av_strerror) \
  X(avutil, av_d2q) \
  X(avcodec, av_packet_alloc) \
  X(avcodec, av_packet_free) \
  X(avcodec, av_packet_rescale_ts) \
  X(avcodec, avcodec_alloc_context3) \
  X(avcodec, avcodec_find_encoder_by_name) \
  X(avcodec, avcodec_free_context) \
  X(avcodec, avcodec_open2) \
  X(avcodec, avcodec_parameters_from_context) \
  X(avcodec, avcodec_receive_packet) \
  X(avcodec, avcodec_send_frame) \
  X(avformat, av_interleaved_write_frame) \
  X(avformat, av_write_trailer) \
  X(avformat, avformat_alloc_output_context2) \
  X(avformat, avformat_free_context) \
  X(avformat, avformat_new_stream) \
  X(avformat, avformat_write_header) \
  X(avformat, avio_closep) \
  X(avformat, avio_open) \
  X(swscale, sws_freeContext) \
  X(swscale, sws_getContext) \
  X(swscale, sws_scale)
// clang-format on

struct Libav {
#define PAWL_DECLARE(library, function) decltype(&::function) function = nullptr;
  PAWL_LIBAV_FUNCTIONS(PAWL_DECLARE)
#undef PAWL_DECLARE
};

// Loads the libraries at the first call. Throws RunError where one is missing. Thread-safe.
const Libav& LoadLibav();

}  // namespace pawl::envs
