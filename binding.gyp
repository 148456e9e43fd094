{
  "variables": { "with_test_addon%": "no" },
  "target_defaults": {
    "include_dirs": [
      "native",
      "<!(node -p \"require('node-addon-api').include_dir\")"
    ],
    "defines": [
      "NAPI_VERSION=9",
      "NAPI_CPP_EXCEPTIONS",
      "_FILE_OFFSET_BITS=64"
    ],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20", "-O3"],
    "cflags!": ["-O3"],
    "cflags_cc": [
      "-std=c++20", "-O2", "-fexceptions", "-fvisibility=hidden",
      "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
      "-fstack-protector-strong", "-D_FORTIFY_SOURCE=3", "-D_GLIBCXX_ASSERTIONS"
    ],
    "libraries": ["-l:liburing.a"],
    "ldflags": ["-Wl,-z,relro", "-Wl,-z,now"]
  },
  "targets": [
    {
      # All but what registers the addon and makes its system calls, compiled once for both addons.
      "target_name": "lvmsync_parts",
      "type": "static_library",
      "cflags_cc": ["-fPIC"],
      "sources": ["<!@(ls native/core/*/*.cc native/addon/*.cc)"],
      "sources!": ["native/addon/addon.cc", "native/addon/real_syscalls.cc"]
    },
    {
      "target_name": "lvmsync",
      "dependencies": ["lvmsync_parts"],
      "sources": ["native/addon/addon.cc", "native/addon/real_syscalls.cc"]
    }
  ],
  "conditions": [
    ["with_test_addon=='yes'", {
      "targets": [
        {
          "target_name": "lvmsync_test",
          "dependencies": ["lvmsync_parts"],
          "sources": ["native/addon/addon.cc", "<!@(ls native/test/addon/*.cc)"]
        }
      ]
    }]
  ]
}
