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
      "target_name": "lvmsync",
      "sources": [
        "<!@(ls native/core/*/*.cc native/addon/*.cc)"
      ]
    }
  ],
  "conditions": [
    ["with_test_addon=='yes'", {
      "targets": [
        {
          "target_name": "lvmsync_test",
          "sources": [
            "<!@(ls native/core/*/*.cc native/addon/*.cc native/test/addon/*.cc)"
          ],
          "sources!": ["native/addon/real_syscalls.cc"]
        }
      ]
    }]
  ]
}
