{
  "targets": [
    {
      "target_name": "overweft",
      "sources": ["<!@(ls *.cc)"],
      "include_dirs": ["<(module_root_dir)/../build"],
      "defines": ["NAPI_VERSION=9", "_GNU_SOURCE"],
      "cflags_cc": ["-std=c++20", "-O3", "-Wall", "-Wextra", "-fexceptions", "-fvisibility=hidden"],
      "cflags_cc!": ["-std=gnu++20", "-std=gnu++17", "-fno-exceptions"],
      "conditions": [["'<!(echo ${CI:-})' == 'true'", {"cflags_cc": ["-Werror"]}]]
    }
  ]
}
