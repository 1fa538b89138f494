module gantry.dev/plane/images

go 1.21
