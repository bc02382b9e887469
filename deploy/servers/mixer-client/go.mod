module mesh-adapter/deploy/servers/mixer-client

go 1.25

require (
	google.golang.org/grpc v1.27.1
	istio.io/api v0.0.0-20191115173247-e1a1952e5b81
)

require (
	github.com/gogo/protobuf v1.3.0 // indirect
	github.com/golang/protobuf v1.3.2 // indirect
	golang.org/x/net v0.0.0-20190311183353-d8887717615a // indirect
	golang.org/x/sys v0.0.0-20190215142949-d0b11bdaac8a // indirect
	golang.org/x/text v0.3.2 // indirect
	google.golang.org/genproto v0.0.0-20190819201941-24fa4b261c55 // indirect
	istio.io/gogo-genproto v0.0.0-20190930162913-45029607206a // indirect
)
