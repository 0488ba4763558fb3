# cmake -DOUTPUT=F -DNAME=kConstant -DFILES="a;b" -P SourceHash.cmake
# writes a constant that changes when any of the files does.
set(all "")
foreach(file ${FILES})
  file(SHA256 ${file} hash)
  string(APPEND all ${hash})
endforeach()
string(SHA256 hash "${all}")
string(SUBSTRING ${hash} 0 10 hash)
file(WRITE ${OUTPUT} "constexpr char ${NAME}[] = \"${hash}\";\n")
