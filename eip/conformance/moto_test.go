package conformance

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// motoStart bounds how long moto_server may take to listen: it imports all of boto first.
const motoStart = time.Minute

// startMoto starts moto_server on a free port of the loopback interface, for as long as t runs, and returns what makes accounts
// in it.
func startMoto(t *testing.T) func(*testing.T) account {
	path := os.Getenv("HACLUSTER_MOTO")
	if path == "" {
		t.Skip("NOT TESTED: moto. 'make conformance' installs it into build/moto; or set HACLUSTER_MOTO to a moto_server")
	}
	// The death signal follows the thread that started the process. This one ends with the test.
	runtime.LockOSThread()
	cmd := exec.CommandContext(t.Context(), path, "-H", "127.0.0.1", "-p", "0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start moto: %v", err)
	}
	urls, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		readURL(bufio.NewScanner(log), urls)
	}()
	t.Cleanup(func() { // the context has been cancelled, which killed the process
		<-ended
		_ = cmd.Wait() // killed
	})
	select {
	case url := <-urls:
		return func(t *testing.T) account { return newMotoAccount(t, url) }
	case <-ended:
		t.Fatalf("%s ended before it listened", path)
	case <-time.After(motoStart):
		t.Fatalf("%s does not listen after %s", path, motoStart)
	}
	return nil
}

// readURL sends the URL that moto says it listens on, and reads the rest of its log so that it never blocks.
func readURL(log *bufio.Scanner, urls chan<- string) {
	running := regexp.MustCompile(`Running on (http://\S+)`)
	for log.Scan() {
		if m := running.FindStringSubmatch(log.Text()); m != nil {
			select {
			case urls <- m[1]:
			default:
			}
		}
	}
}

// newMotoAccount empties moto and makes an account in it.
func newMotoAccount(t *testing.T, url string) account {
	t.Helper()
	resp, err := http.Post(url+"/moto-api/reset", "", nil)
	if err != nil {
		t.Fatalf("reset moto: %v", err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	m := motoAdmin{t: t, api: newSDK(url, keySecret)}
	acc := account{url: url, a: m.node(), b: m.node(), first: m.address(), second: m.address()}
	acc.a.secondary = m.secondary(acc.a)
	m.tag(acc.first.allocation, "Name", "front")
	m.tag(acc.a.instance, "hacluster", "edge-1")
	m.tag(acc.b.instance, "hacluster", "edge-2")
	return acc
}

// motoAdmin makes what the emulator is configured with.
type motoAdmin struct {
	t   *testing.T
	api *ec2.Client
}

func (m motoAdmin) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("set up moto: %v", err)
	}
}

func (m motoAdmin) tag(resource *string, key, value string) {
	m.t.Helper()
	_, err := m.api.CreateTags(m.t.Context(), &ec2.CreateTagsInput{
		Resources: []string{*resource}, Tags: []types.Tag{{Key: aws.String(key), Value: aws.String(value)}},
	})
	m.must(err)
}

func (m motoAdmin) node() node {
	out, err := m.api.RunInstances(m.t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String("ami-12345678"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	m.must(err)
	nic := out.Instances[0].NetworkInterfaces[0]
	return node{instance: out.Instances[0].InstanceId, eni: nic.NetworkInterfaceId, primary: nic.PrivateIpAddress}
}

func (m motoAdmin) address() address {
	out, err := m.api.AllocateAddress(m.t.Context(), &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc})
	m.must(err)
	return address{allocation: out.AllocationId, public: out.PublicIp}
}

func (m motoAdmin) secondary(n node) *string {
	_, err := m.api.AssignPrivateIpAddresses(m.t.Context(), &ec2.AssignPrivateIpAddressesInput{
		NetworkInterfaceId: n.eni, SecondaryPrivateIpAddressCount: aws.Int32(1),
	})
	m.must(err)
	out, err := m.api.DescribeNetworkInterfaces(m.t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*n.eni}})
	m.must(err)
	for _, p := range out.NetworkInterfaces[0].PrivateIpAddresses {
		if !aws.ToBool(p.Primary) {
			return p.PrivateIpAddress
		}
	}
	m.t.Fatal("set up moto: no secondary address")
	return nil
}
