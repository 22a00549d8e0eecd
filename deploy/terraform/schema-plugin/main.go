// Command schema-plugin is a Terraform provider plugin that has a provider's arguments and nothing behind them.
//
// It lets 'terraform validate' and 'terraform test' (with mock_provider) check names, types and what is required where the real
// plugin cannot be had. It takes them from the provider's published TypeScript bindings (the npm packages @cdktf/provider-*). What it
// does not have is what a provider checks in code: allowed values, and arguments that exclude one another.
//
// Which provider it is follows from the name of its file, terraform-provider-NAME_v...; the bindings are in
// $HACLUSTER_TF_BINDINGS/NAME, one directory for each resource, data source, and the provider itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

const bindingsVariable = "HACLUSTER_TF_BINDINGS"

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "schema-plugin: "+err.Error())
		os.Exit(1)
	}
}

func serve() error {
	name, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(os.Args[0]), "terraform-provider-"), "_")
	root := os.Getenv(bindingsVariable)
	if root == "" {
		return errors.New("set " + bindingsVariable + " to the directory of the bindings")
	}
	schemas, err := readBindings(filepath.Join(root, name))
	if err != nil {
		return fmt.Errorf("read bindings of %s: %w", name, err)
	}
	return tf6server.Serve("registry.terraform.io/hashicorp/"+name, func() tfprotov6.ProviderServer {
		return &provider{schemas: schemas}
	})
}

// provider answers what validation and mocked tests ask. Terraform asks for nothing else there; the rest of the interface is
// nil, so that a real plan panics instead of pretending.
type provider struct {
	tfprotov6.ProviderServer
	schemas schemas
}

// GetMetadata says that there is no cheaper way than GetProviderSchema.
func (p *provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	return &tfprotov6.GetMetadataResponse{}, nil
}

// GetProviderSchema returns everything that the bindings say.
func (p *provider) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return &tfprotov6.GetProviderSchemaResponse{
		Provider: p.schemas.provider, ResourceSchemas: p.schemas.resources, DataSourceSchemas: p.schemas.dataSources,
	}, nil
}

// GetResourceIdentitySchemas is asked by Terraform 1.12 and later.
func (p *provider) GetResourceIdentitySchemas(
	context.Context, *tfprotov6.GetResourceIdentitySchemasRequest,
) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

// ValidateProviderConfig finds nothing: Terraform has checked names and types by then.
func (p *provider) ValidateProviderConfig(
	_ context.Context, r *tfprotov6.ValidateProviderConfigRequest,
) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: r.Config}, nil
}

// ValidateResourceConfig finds nothing, as ValidateProviderConfig.
func (p *provider) ValidateResourceConfig(
	context.Context, *tfprotov6.ValidateResourceConfigRequest,
) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

// ValidateDataResourceConfig finds nothing, as ValidateProviderConfig.
func (p *provider) ValidateDataResourceConfig(
	context.Context, *tfprotov6.ValidateDataResourceConfigRequest,
) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

// StopProvider has nothing to stop.
func (p *provider) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}
