using Azure.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using OpenAI;

namespace AssistantQueue.OpenAI;

/// <summary>Checks one queue's settings when the host starts and lists every fault: the setting, its value, what to do.</summary>
/// <remarks>A process that only produces never calls the API, so nothing is asked of it.</remarks>
internal sealed class OpenAIOptionsValidator(string queue, string path, IServiceProvider services) : IValidateOptions<OpenAIOptions>
{
    public ValidateOptionsResult Validate(string? name, OpenAIOptions options)
    {
        if ((name ?? "") != queue || !QueueRole.RunsWorker(services, queue))
        {
            return ValidateOptionsResult.Skip;
        }

        var faults = options.Faults.Concat(Faults(options)).ToList();
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    private IEnumerable<string> Faults(OpenAIOptions o)
    {
        var isAssistants = o.EffectiveApi == OpenAIApi.Assistants;
        if (o.Api is { } api && !Enum.IsDefined(api))
        {
            yield return $"{path}:Api is '{api}'. Set it to Responses or Assistants, or leave it out.";
        }
        else if (isAssistants && string.IsNullOrWhiteSpace(o.AssistantId))
        {
            yield return $"{path}:AssistantId is not set, but {path}:Api is Assistants. Set it to the assistant's id (asst_…).";
        }
        else if (!isAssistants && string.IsNullOrWhiteSpace(o.Model))
        {
            yield return $"{path}:Model is not set. Set it to a model's name (on Azure: the deployment's), or set {path}:AssistantId to use the Assistants API.";
        }

        if (!IsGiven<OpenAIClient>())
        {
            foreach (var fault in ClientFaults(o))
            {
                yield return fault;
            }
        }

        if (o.AzureApiVersion is { Length: > 0 } version && (o.AzureEndpoint is null || !isAssistants))
        {
            yield return $"{path}:AzureApiVersion is '{version}', but only the Assistants API of an {path}:AzureEndpoint has dated URLs. Remove it.";
        }

        var least = isAssistants ? 256 : 16;
        if (o.MaxOutputTokens < least)
        {
            yield return $"{path}:MaxOutputTokens is {o.MaxOutputTokens}. The API takes {least} or more; leave it out for no limit.";
        }

        foreach (var fault in TimeFaults(o))
        {
            yield return fault;
        }
    }

    private IEnumerable<string> ClientFaults(OpenAIOptions o)
    {
        if (o.Endpoint is not null && o.AzureEndpoint is not null)
        {
            yield return $"{path}:Endpoint is '{o.Endpoint}' and {path}:AzureEndpoint is '{o.AzureEndpoint}'. Set one of them.";
        }

        foreach (var (setting, value) in new[] { ("Endpoint", o.Endpoint), ("AzureEndpoint", o.AzureEndpoint) })
        {
            if (value is not null && !(value.IsAbsoluteUri && value.Scheme is "http" or "https"))
            {
                yield return $"{path}:{setting} is '{value}'. Set it to an address that begins with https:// (or http:// for a server of your own).";
            }
        }

        if (!string.IsNullOrWhiteSpace(o.ApiKey))
        {
            yield break;
        }

        if (o.AzureEndpoint is null)
        {
            yield return $"{path}:ApiKey is not set. Set it, or OPENAI_API_KEY, or register an OpenAIClient in DI.";
        }
        else if (!IsGiven<TokenCredential>())
        {
            yield return $"{path}:ApiKey is not set and no TokenCredential is in DI. Set the key (or AZURE_OPENAI_API_KEY), or register a TokenCredential such as DefaultAzureCredential.";
        }
    }

    private IEnumerable<string> TimeFaults(OpenAIOptions o)
    {
        if (o.PollInterval < TimeSpan.FromMilliseconds(10) || o.PollInterval > TimeSpan.FromMinutes(1))
        {
            yield return $"{path}:PollInterval is {o.PollInterval}. Set it to between 10 milliseconds and 1 minute.";
        }

        if (o.MaxPollInterval < o.PollInterval || o.MaxPollInterval > TimeSpan.FromMinutes(5))
        {
            yield return $"{path}:MaxPollInterval is {o.MaxPollInterval}. Set it to between {path}:PollInterval ({o.PollInterval}) and 5 minutes.";
        }

        if (o.NetworkTimeout < TimeSpan.FromSeconds(1) || o.NetworkTimeout > TimeSpan.FromHours(1))
        {
            yield return $"{path}:NetworkTimeout is {o.NetworkTimeout}. Set it to between 1 second and 1 hour.";
        }
    }

    // asked without creating it: a credential or client may do work when it is made
    private bool IsGiven<T>() =>
        services.GetService<IServiceProviderIsService>() is { } known
        && (known.IsService(typeof(T)) || (queue.Length > 0 && known is IServiceProviderIsKeyedService keyed && keyed.IsKeyedService(typeof(T), queue)));
}
