using System.Text.Json.Serialization;
using WebChat;
using WebChat.Api;

// Started from another folder, the program still finds its settings and its page: they lie beside it.
var builder = WebApplication.CreateBuilder(new WebApplicationOptions
{
    Args = args,
    ContentRootPath = File.Exists("appsettings.json") && Directory.Exists("wwwroot") ? null : AppContext.BaseDirectory,
});
Setup.UseDefaultUrl(builder);

var setup = new Setup(builder.Configuration);
var queue = builder.Services.AddAssistantMessageQueue();
if (setup.RunsWorker)
{
    // OpenAI and Azure have other names for their models; an assistant brings its own.
    queue.UseOpenAI(o => o.Model ??= o.AssistantId is null && o.AzureEndpoint is null ? "gpt-5-mini" : null)
        .AddShopTools();
}

if (setup.UsesEmbeddedRedis)
{
    queue.UseEmbeddedRedis();
}

if (setup.UsesEmulator)
{
    queue.UseOpenAIEmulator();
}

builder.Services.AddSingleton(setup);
builder.Services.AddControllers().AddJsonOptions(o => o.JsonSerializerOptions.Converters.Add(new JsonStringEnumConverter()));
builder.Services.ConfigureHttpJsonOptions(o => o.SerializerOptions.Converters.Add(new JsonStringEnumConverter()));
builder.Services.AddProblemDetails().AddExceptionHandler<QueueExceptionHandler>();
builder.Services.AddHealthChecks().AddCheck<QueueHealthCheck>("redis");

var app = builder.Build();
app.UseExceptionHandler();
app.UseStatusCodePages();
app.Use((context, next) =>
{
    context.Response.Headers.ContentSecurityPolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    context.Response.Headers.XContentTypeOptions = "nosniff";
    return next(context);
});
app.UseDefaultFiles();
app.UseStaticFiles();
app.MapControllers();
app.MapAssistantThreadEvents("/api/threads/{threadId}/events");
app.MapHealthChecks("/health", new() { ResponseWriter = QueueHealthCheck.WriteAsync });
app.Lifetime.ApplicationStarted.Register(() => setup.Announce(app.Services));
app.Run();
